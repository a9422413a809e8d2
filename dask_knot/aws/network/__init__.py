"""The network that jobs get: whether machines in its subnets reach what they need.

An instance that doesn't reach ECS starts, costs money and never joins its cluster; a container on
Fargate that doesn't reach ECR is tried again and again. Neither says so to whoever waits. So `up`
looks before it makes anything, and `doctor` at what is there. `reading` asks EC2, whose answers
stay as they are in a `Chart`; all else is pure: `paths` (routes, addresses, NAT gateways),
`endpoints` (VPC endpoints), `filters` (network ACLs, security groups), and `faults`, which puts
together what they find. What can't be seen from the account (a transit gateway, a firewall behind
it, a proxy) is believed to be right.
"""
