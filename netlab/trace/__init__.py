"""What a packet meets on its way: a probe is sent, followed, and told"""
