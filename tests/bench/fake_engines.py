"""Engines for the tests of `bench peers`: a right one, one that counts wrongly, one that fails, and one whose package must be installed first."""

from __future__ import annotations

from bench.peers.engines import Engine


class Adapter(Engine):
    """Lists of (price, entry, id, quantity), sorted anew whenever something is entered."""

    def __init__(self):
        self.sides: tuple[list[list[int]], ...] = ([], [])
        self.entries, self.count = 0, 0

    def new(self, order_id, side, price, quantity, ioc):
        sign = 1 if side else -1
        self.entries += 1
        resting = self.sides[1 - side]
        while quantity and resting and sign * price <= sign * resting[0][1]:
            first = resting[0]
            traded = min(quantity, first[4])
            quantity, first[4] = quantity - traded, first[4] - traded
            self.count += 1
            if not first[4]:
                del resting[0]
        if quantity and not ioc:
            self.sides[side].append([sign * price, price, self.entries, order_id, quantity])
            self.sides[side].sort(key=lambda order: (order[0], order[2]))

    def cancel(self, order_id):
        for orders in self.sides:
            for index, order in enumerate(orders):
                if order[3] == order_id:
                    del orders[index]
                    return True
        return False

    def trades(self):
        return self.count
