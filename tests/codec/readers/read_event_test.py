#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Reads the golden files of the event in docs/serialization.md as the page says: read_event_test.py"""

import datetime
import json
import pathlib
import re
import subprocess
import sys
import unittest

import read_event

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "archive" / "golden"
BINARY = bytes.fromhex((GOLDEN / "order_placed.binary.hex").read_text())
JSON = json.loads((GOLDEN / "order_placed.json").read_text(encoding="utf-8"))


class Readers(unittest.TestCase):
    def test_binary_and_json_say_the_same(self):
        read = read_event.read_order_placed(BINARY)
        self.assertEqual(list(read), list(JSON))
        read["order"] = str(read["order"])
        read["placedAt"] = read["placedAt"].isoformat(timespec="microseconds") + "Z"
        self.assertEqual(read, JSON)

    def test_other_bytes_are_refused(self):
        for damaged in (BINARY[:-1], BINARY + b"\0"):
            with self.assertRaises(ValueError):
                read_event.read_order_placed(damaged)

    def test_the_program_prints_the_fields(self):
        command = [sys.executable, "-B", HERE / "read_event.py", GOLDEN / "order_placed.binary.hex"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={"PYTHONUTF8": "1"}).stdout.decode("utf-8")
        self.assertEqual(output.splitlines()[1:3], ["customer: Zoë", "delivery: 1"])

    def test_the_dump_is_that_of_the_bytes(self):
        dumped = b""
        for line in (HERE / "order_placed.dump.txt").read_text(encoding="utf-8").splitlines()[1:]:
            self.assertEqual(int(line[:6]), len(dumped), line)
            dumped += bytes.fromhex(line[8:56])
        self.assertEqual(dumped, BINARY)

    def test_the_record_in_c_sharp_has_the_fields_of_the_json(self):
        text = (HERE / "OrderPlaced.cs").read_text()

        def fields_of(record):
            parameters = re.search(rf"record {record}\((.*?)\)", text, re.S)[1]
            names = re.findall(r"(\w+)(?:,|$)", parameters.strip())
            return [name[0].lower() + name[1:] for name in names]

        self.assertEqual(fields_of("OrderPlaced"), list(JSON))
        self.assertEqual(fields_of("OrderLine"), list(JSON["lines"][0]))
        self.assertEqual(fields_of("Payment"), list(JSON["payment"]))

    def test_the_time_is_rfc_3339(self):
        time = datetime.datetime.fromisoformat(JSON["placedAt"].replace("Z", "+00:00"))
        self.assertEqual(time.replace(tzinfo=None), read_event.read_order_placed(BINARY)["placedAt"])


if __name__ == "__main__":
    unittest.main()
