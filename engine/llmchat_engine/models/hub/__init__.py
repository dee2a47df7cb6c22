"""A model hub, and what comes from it: names, repositories, downloads that go on, and where each file came from."""
