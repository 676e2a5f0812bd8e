//! Giving up every capability, as root too.

use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
};

use crate::FenceError;

/// Numbers of capabilities that a kernel may know; those it does not know are refused and passed over.
const MOST: u32 = 64;

/// Empties every set of this process, so that no program that it starts gets a capability back.
pub(crate) fn drop_all() -> Result<(), FenceError> {
    no_new_ones()?;
    for number in 0..MOST {
        // Refused to whoever has no CAP_SETPCAP: he has nothing to lose, and `no_new_privs` lets nobody gain anything.
        _ = remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number));
    }
    // Being root must not give capabilities back at the next exec.
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED;
    _ = set_capabilities_secure_bits(bits);
    _ = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(|error| FenceError::step("giving up capabilities", error))
}

/// No program that this process starts gets more than it has.
pub(crate) fn no_new_ones() -> Result<(), FenceError> {
    set_no_new_privs(true).map_err(|error| FenceError::step("no_new_privs", error))
}
