"""For tests of backends, hosts and applications: virtual time, real loopback servers, the contract of a sink."""
