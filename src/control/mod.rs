//! Both ends of the control socket: the server thread of the supervisor, the client of the commands.
