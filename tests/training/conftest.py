"""What the tests of training share."""

from factories.threads import one_thread  # noqa: F401  (a fixture)
