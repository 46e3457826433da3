"""`python -m tests.pipeline.queue_member ADDRESS`: a consumer in a process of its own, that writes what it got."""

from __future__ import annotations

import pickle
import sys

from tests.pipeline.queue_cases import number


def main() -> None:
    with pickle.loads(bytes.fromhex(sys.argv[1])).opened() as queue, queue.consumer() as consumer:
        for item in consumer:
            print(number(item), flush=True)


if __name__ == "__main__":
    main()
