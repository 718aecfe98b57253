"""A trained trial in one file, and the model that is loaded from it.

`plain` turns frozen dataclasses into JSON and arrays, `layout` owns the file, `writing` fills it from a trial, `model`
loads it for use, and `rows` reads new rows in any form.
"""
