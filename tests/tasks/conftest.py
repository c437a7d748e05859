"""What the tests of tasks share."""

from factories.threads import one_thread  # noqa: F401  (a fixture)
