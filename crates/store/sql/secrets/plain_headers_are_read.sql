-- Whether a process of a release that reads plain headers only may be running.
SELECT plain_headers_are_read() AS plain
