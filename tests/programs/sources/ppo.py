"""A tyro command line with `--x` and `--no-x`; its only metrics are the scalars of TensorBoard event files."""

import argparse
import os
import struct
import time

parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, default=2.5e-4)
parser.add_argument("--anneal-lr", action=argparse.BooleanOptionalAction, required=True)
parser.add_argument("--total-timesteps", type=int, default=500)
args = parser.parse_args()

TABLE = []
for number in range(256):
    for _ in range(8):
        number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)  # Castagnoli's polynomial, reflected
    TABLE.append(number)


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data):
    length = struct.pack("<Q", len(data))
    return length + masked_crc(length) + data + masked_crc(data)


def varint(number):
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def scalar(tag, value, step):
    entry = field(1, tag.encode()) + varint(2 << 3 | 5) + struct.pack("<f", value)
    return (
        varint(1 << 3 | 1)
        + struct.pack("<d", time.time())
        + varint(2 << 3)
        + varint(step)
        + field(5, field(1, entry))
    )


folder = f"runs/CartPole__ppo__{os.getpid()}"
os.makedirs(folder)  # noqa: PTH103  (standard library of any version)
with open(f"{folder}/events.out.tfevents.1.host.{os.getpid()}.0", "wb") as file:  # noqa: PTH123  (as above)
    file.write(record(varint(1 << 3 | 1) + struct.pack("<d", time.time()) + field(3, b"brain.Event:2")))
    for step in range(100, args.total_timesteps + 1, 100):
        reward = step / 10 + args.anneal_lr - args.learning_rate
        file.write(record(scalar("charts/episodic_return", reward, step)))
        file.write(record(scalar("charts/SPS", 1000.0, step)))
        file.flush()
        print(f"SPS: {step}")
