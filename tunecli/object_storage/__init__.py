"""Files in an object storage (S3, Google Cloud Storage), or in a folder that several machines see.

A `Location` names the bucket or the folder. `ObjectStorage` puts, gets, lists and removes objects by name. A `Pointer`
is a small file in a run folder that names an object. The package `pyarrow` is loaded only for the URL of a bucket.
"""

CLAIMS_NAME = "storage.json"
"""The file of a run folder that names the prefixes of its study; here, where it costs no import."""
