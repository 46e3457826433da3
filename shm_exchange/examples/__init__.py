"""Programs of a page each: `python -m shm_exchange.examples.hello`.

    hello          two traders meet: orders, reports, the book
    maker          a quote on both sides that follows the market
    reader         a process that only looks, while others trade
    batch          a hundred thousand orders in one array, the answers in another
    async_reports  an event loop that waits for reports, events and prices at once
    bot            a strategy as a function, run by four processes
    own_benchmark  how long an order takes, in figures of your own
    replica        the whole book, order by order, rebuilt from the events
    behaviour      a participant of one's own, in twenty lines and in simulated time
    tour.ipynb     all of it in a notebook

Each starts an exchange of its own or simulates one, shows one thing, and ends by itself.
"""
