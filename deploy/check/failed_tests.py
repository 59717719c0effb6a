"""Prints why each failed test of a JUnit report failed, so that the end of a long run tells it: failed_tests.py REPORT"""

import re
import sys
import xml.etree.ElementTree as ElementTree

# An error quotes the end of each process's log. The whole output is further up.
LINES = 40
LINE_LENGTH = 400
# A frame of a backtrace whose source is not in this repository.
FOREIGN_FRAME = re.compile(r"^ +\d+: .*\n +at /.*\n?", re.MULTILINE)


def shorten(lines):
    """Keeps the beginning, which has the assertion, and the end."""
    if len(lines) > LINES:
        left_out = f"({len(lines) - LINES} lines left out)"
        lines = lines[: LINES // 2] + [left_out] + lines[-LINES // 2 :]
    return [line[:LINE_LENGTH] for line in lines]


def reason_of(case):
    """The output from the first panic on, or what the test runner says, as in a test that was ended for its time."""
    failure = case.find("failure")
    if failure is None:
        failure = case.find("error")
    if failure is None:
        return None
    output = FOREIGN_FRAME.sub("", case.findtext("system-err") or failure.text or "").splitlines()
    panic = next((n for n, line in enumerate(output) if "panicked at" in line), None)
    return [failure.get("type", ""), *output[panic or 0 :]]


for suite in ElementTree.parse(sys.argv[1]).getroot():
    for case in suite.iter("testcase"):
        reason = reason_of(case)
        if reason is not None:
            print(f"{suite.get('name')} {case.get('name')} ({case.get('time')} s)")
            print("\n".join(f"  {line}" for line in shorten(reason)))
