//! What the runtime must know of a compiled function to find the handler of an exception.
//!
//! In: what the code generator tells of the function's frame and of its calls. Out: [`Unwind`], plain data about the
//! final code (`optimise::machine` moves it along). `emit` makes tables of it.

use crate::options::Arch;
use cranelift_codegen::isa::unwind::UnwindInst;
use cranelift_codegen::{Final, FinalizedMachExceptionHandler, MachBufferFinalized, RegClass};
use elfin_abi::exception::{ANY_TAG, saved};

/// A function's frame and its calls with handlers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwind {
    /// Saved registers, by position among those that a callee saves, and how many words below the frame pointer each
    /// is.
    pub saves: Vec<(u8, u8)>,
    /// Bytes from the stack pointer up to the frame pointer.
    pub size: u32,
    /// Calls with handlers, ascending.
    pub sites: Vec<CallSite>,
}

/// A call with handlers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSite {
    /// Offset of the address that it returns to.
    pub returns_to: u32,
    /// Tag (or [`ANY_TAG`]) and offset of the landing pad, the innermost first.
    pub handlers: Vec<(u32, u32)>,
}

/// Reads what the code generator tells. `restores`: callers rely on registers that a callee saves when an exception
/// passes the callee by. With the Tail convention they do not.
///
/// # Errors
/// What was told cannot be, as far as we know.
pub fn read(
    arch: Arch,
    restores: bool,
    buffer: &MachBufferFinalized<Final>,
) -> Result<Unwind, String> {
    let (integers, floats) = match arch {
        Arch::X86_64 => saved::X86_64,
        Arch::Aarch64 => saved::AARCH64,
        Arch::Riscv64 => saved::RISCV64,
    };
    let mut unwind = Unwind::default();
    let mut clobbers = 0;
    for (_, inst) in &buffer.unwind_info {
        match inst {
            UnwindInst::DefineNewFrame {
                offset_downward_to_clobbers,
                ..
            } => clobbers = *offset_downward_to_clobbers,
            UnwindInst::SaveReg {
                clobber_offset,
                reg,
            } if restores => {
                let (list, first) = match reg.class() {
                    RegClass::Int => (integers, 0),
                    RegClass::Float => (floats, integers.len()),
                    RegClass::Vector => return Err(format!("{reg:?} is saved")),
                };
                let position = list.iter().position(|r| *r == reg.hw_enc());
                let position = position.ok_or_else(|| format!("{reg:?} is saved"))?;
                let below = clobbers.checked_sub(*clobber_offset).filter(|b| b % 8 == 0);
                let below = below.and_then(|below| u8::try_from(below / 8).ok());
                let below = below.ok_or("a register is saved elsewhere than in its frame")?;
                unwind.saves.push(((first + position) as u8, below));
            }
            _ => {}
        }
    }
    for site in buffer.call_sites() {
        if site.exception_handlers.is_empty() {
            continue;
        }
        let size = site
            .frame_offset
            .ok_or("a call with handlers has no frame")?;
        if !unwind.sites.is_empty() && unwind.size != size {
            return Err("calls of one function have different frames".to_owned());
        }
        unwind.size = size;
        let handlers = site.exception_handlers.iter().map(|handler| match handler {
            FinalizedMachExceptionHandler::Tag(tag, pad) => Ok((tag.as_u32(), *pad)),
            FinalizedMachExceptionHandler::Default(pad) => Ok((ANY_TAG, *pad)),
            FinalizedMachExceptionHandler::Context(_) => Err("a handler has a context"),
        });
        unwind.sites.push(CallSite {
            returns_to: site.ret_addr,
            handlers: handlers.collect::<Result<_, _>>()?,
        });
    }
    Ok(unwind)
}

impl Unwind {
    /// Offsets at which an exception enters the function.
    pub fn landing_pads(&self) -> impl Iterator<Item = u32> {
        self.sites
            .iter()
            .flat_map(|site| site.handlers.iter().map(|(_, pad)| *pad))
    }

    /// Follows code that was moved: `moved` gives the new offset of an instruction, `returns` that behind a call.
    pub fn follow(&mut self, moved: impl Fn(u32) -> u32, returns: impl Fn(u32) -> u32) {
        for site in &mut self.sites {
            site.returns_to = returns(site.returns_to);
            for (_, pad) in &mut site.handlers {
                *pad = moved(*pad);
            }
        }
        self.sites.sort_by_key(|site| site.returns_to);
    }
}
