"""Who sees a probe go by. A new one is one new file here"""
