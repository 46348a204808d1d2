//! Role 3: what was typed becomes a request, the reply becomes what is printed and the exit code.
