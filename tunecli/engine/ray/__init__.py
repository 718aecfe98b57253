"""The engine `ray`: agents are actors of a Ray cluster, behind a child process that alone imports ray."""
