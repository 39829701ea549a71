//! Plimsoll from Rust: put this file into your crate. No dependencies; Rust 1.56 or later.
//!
//! Links libplimsoll, which is then the malloc of the whole program, and so also Rust's allocator.

#![allow(dead_code)] // no program needs all of it

use std::ffi::CString;
use std::os::raw::{c_char, c_int, c_uint, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};

pub const NORMAL: c_int = 0;
pub const LOW: c_int = 1;
pub const MEDIUM: c_int = 2;
pub const CRITICAL: c_int = 3;

/// What a reclaimer is told. Sizes are in bytes; more fields may follow in later versions.
#[repr(C)]
pub struct Pressure {
    pub size: usize,
    pub level: c_int,
    pub usage: u64,
    pub soft_limit: u64,
    pub hard_limit: u64,
    pub target: u64,
}

type Function = unsafe extern "C" fn(*const Pressure, *mut c_void) -> usize;

#[link(name = "plimsoll")]
extern "C" {
    fn plim_level() -> c_int;
    fn plim_cpus() -> c_uint;
    fn plim_reclaimer_add(
        name: *const c_char,
        function: Function,
        arg: *mut c_void,
        from: c_int,
    ) -> c_int;
    fn plim_reclaimer_remove(id: c_int) -> c_int;
}

/// NORMAL, LOW, MEDIUM or CRITICAL.
pub fn level() -> c_int {
    unsafe { plim_level() }
}

/// The number of CPUs that can be used at once, for sizing pools of threads.
pub fn cpus() -> usize {
    unsafe { plim_cpus() as usize }
}

/// Boxed twice, as a pointer to a closure of any type takes two words, and C passes one.
type Callback = Box<dyn Fn(&Pressure) -> usize + Send + Sync>;

/// A callback that is registered for as long as this lives. It runs on the library's thread; drop
/// waits for a call that is running, so do not drop it while holding a lock that the callback
/// takes, nor inside the callback.
pub struct Reclaimer {
    id: c_int,
    callback: *mut Callback,
}

// Only the library's thread and drop use the pointer, and drop comes last.
unsafe impl Send for Reclaimer {}
unsafe impl Sync for Reclaimer {}

/// A panic must not unwind through C: it counts as a call that freed nothing.
unsafe extern "C" fn call(pressure: *const Pressure, arg: *mut c_void) -> usize {
    let callback = &*(arg as *const Callback);
    catch_unwind(AssertUnwindSafe(|| callback(&*pressure))).unwrap_or(0)
}

impl Reclaimer {
    /// The callback returns how many bytes it let go. Fails if the library is off.
    pub fn new<F>(name: &str, from: c_int, callback: F) -> std::io::Result<Reclaimer>
    where
        F: Fn(&Pressure) -> usize + Send + Sync + 'static,
    {
        let name = CString::new(name)?;
        let callback: *mut Callback = Box::into_raw(Box::new(Box::new(callback)));
        let id = unsafe { plim_reclaimer_add(name.as_ptr(), call, callback as *mut c_void, from) };
        let reclaimer = Reclaimer { id, callback }; // dropped, and the box with it, if id is an error
        if id < 0 {
            return Err(std::io::Error::from_raw_os_error(-id));
        }
        Ok(reclaimer)
    }
}

impl Drop for Reclaimer {
    fn drop(&mut self) {
        unsafe {
            if self.id >= 0 {
                plim_reclaimer_remove(self.id);
            }
            drop(Box::from_raw(self.callback));
        }
    }
}
