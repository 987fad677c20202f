"""Drives a command-line client: a line in, then wait for what it must print."""
import re
import subprocess
import sys
import threading
import time
import traceback

failed = False


def check(name):
    """Runs the function at once as the check of that name."""
    def run(body):
        global failed
        try:
            body()
            print(f"ok {name}", flush=True)
        except Exception as e:
            failed = True
            at = traceback.extract_tb(e.__traceback__)
            line = [f.lineno for f in at if not f.filename.endswith("cli.py")]
            print(f"FAIL {name}: {e} (line {line[-1] if line else '?'})", flush=True)
    return run


def want(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, want {wanted!r}")


def restart():
    print("READY-FOR-RESTART", flush=True)
    sys.stdin.readline()


def done():
    print("DONE", flush=True)
    sys.exit(1 if failed else 0)


class Cli:
    """One running client. Output is consumed up to the end of each match."""

    def __init__(self, argv, connected):
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.text = ""
        self.more = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.expect(connected, 30)

    def _read(self):
        for line in self.process.stdout:
            with self.more:
                self.text += line
                self.more.notify()
        with self.more:
            self.text += "<end of output>\n"
            self.more.notify()

    def expect(self, pattern, timeout=15):
        """Waits for output that matches, at the start of a line with ^."""
        end = time.monotonic() + timeout
        with self.more:
            while True:
                m = re.search(pattern, self.text, re.M)
                if m:
                    self.text = self.text[m.end():]
                    return m
                left = end - time.monotonic()
                if left <= 0 or not self.more.wait(left):
                    raise AssertionError(f"got {self.text[-300:]!r}, want {pattern!r}")

    def do(self, line, pattern):
        """Types a line and waits for what it must print."""
        with self.more:
            self.text = ""
        self.say(line)
        try:
            return self.expect(pattern)
        except AssertionError as e:
            raise AssertionError(f"{line}: {e}") from None

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def quit(self):
        self.say("quit")
        self.process.wait(20)
