"""What is installed here, and how others can have it.

How it works
------------
Where a package came from is not whether others can have it: each has an *origin* (an index, a URL,
version control, a folder, conda, Debian), and each origin a way into an image. What is here is
copied, not solved anew. Whatever can't be copied is a `Problem` with its cure; all problems of one
environment are told in one `PackagesError`, before anything is built.

`image` asks this room what to install; nothing here knows of Docker or AWS, and nothing asks the
network.
"""
