import pytest

# Their assertions show values when they fail, as those of tests do.
pytest.register_assert_rewrite("tests.support")
