"""Runs the tests beside this file and closes with lines that `cargo xtask` counts."""

import pathlib
import sys
import unittest


def main():
    tests = unittest.defaultTestLoader.discover(str(pathlib.Path(__file__).parent))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
    # A test with several failed parts is one failed test; a broken set-up has no test.
    unhappy = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
    broken = sum(1 for name in unhappy if name.startswith("setUp"))
    passed = result.testsRun - (len(unhappy) - broken) - len(result.skipped)
    print(f"# pass {passed}\n# fail {len(unhappy)}\n# skipped {len(result.skipped)}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
