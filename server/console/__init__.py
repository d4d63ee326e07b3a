"""What the console asks: lists, one case, the leaders' queue, cells, what was kept aside, the audit."""
