"""Every node of a lab to every other one: asked all at once, written down, and compared.

    pairs ──▶ survey ──▶ Matrix ──▶ golden file
                │                      │
       echoes, connections          compare ──▶ differences
"""
