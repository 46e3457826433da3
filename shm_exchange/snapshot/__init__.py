"""VIEWS: the newest top of each book, in versioned slots that one writer fills and any reader copies without a lock."""
