"""The local page: jobs and their store, the queue, the routes, and what the browser is given."""
