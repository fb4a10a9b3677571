"""Reads one event in the binary format: read_event.py <file with the bytes in hexadecimal>"""
import datetime
import struct
import sys
import uuid


class BinaryReader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        if len(self.data) - self.at < length:
            raise ValueError(f"expected {length} bytes at byte {self.at}, found {len(self.data) - self.at}")
        self.at += length
        return self.data[self.at - length:self.at]

    def integer(self, bits, signed=True):
        return int.from_bytes(self.take(bits // 8), "little", signed=signed)

    def real(self):
        return struct.unpack("<d", self.take(8))[0]

    def count(self):  # LEB128
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def boolean(self):
        return self.take(1)[0] == 1

    def text(self):
        return self.take(self.count()).decode("utf-8")

    def uuid(self):
        return uuid.UUID(bytes=self.take(16))

    def optional(self, read):
        return read() if self.boolean() else None

    def sequence(self, read):
        return [read() for _ in range(self.count())]

    def time(self):  # of a sys_time<microseconds>
        return datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=self.integer(64))

    def end(self):
        if self.at != len(self.data):
            raise ValueError(f"expected the end at byte {self.at}, found {len(self.data) - self.at} more bytes")


def read_order_placed(data):
    reader = BinaryReader(data)

    def line():
        return {"article": reader.text(), "quantity": reader.integer(32, signed=False), "cents": reader.integer(64)}

    def payment():
        alternative = reader.count()
        return {"index": alternative, "value": {} if alternative == 0 else {"lastDigits": reader.text()}}

    event = {
        "order": reader.uuid(),
        "customer": reader.text(),
        "delivery": reader.integer(8, signed=False),
        "lines": reader.sequence(line),
        "note": reader.optional(reader.text),
        "payment": payment(),
        "openFor": reader.integer(64),
        "placedAt": reader.time(),
    }
    reader.end()
    return event


if __name__ == "__main__":
    with open(sys.argv[1], encoding="ascii") as file:
        for name, value in read_order_placed(bytes.fromhex(file.read())).items():
            print(f"{name}: {value}")
