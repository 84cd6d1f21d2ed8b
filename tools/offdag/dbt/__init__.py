"""dbt as a program: its command line, its process, its project files, its connections."""
