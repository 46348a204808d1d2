//! What a terminal tells about itself: tty_ioctl(4).

use std::os::fd::AsFd;

use nix::libc::{TIOCGWINSZ, winsize};
use nix::unistd::isatty;

nix::ioctl_read_bad!(window_size, TIOCGWINSZ, winsize);

pub fn is_terminal(fd: impl AsFd) -> bool {
    isatty(fd).unwrap_or(false)
}

/// Columns of the terminal behind this descriptor; `None` when it is none or does not tell.
pub fn columns(fd: impl AsFd) -> Option<usize> {
    use std::os::fd::AsRawFd;
    let mut size = winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize to the address it is given, which lives here.
    unsafe { window_size(fd.as_fd().as_raw_fd(), &mut size) }.ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
