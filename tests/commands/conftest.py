"""The small study of the tests of `study`, for the verbs."""

from tests.study.conftest import study_file, tunecli

__all__ = ["study_file", "tunecli"]
