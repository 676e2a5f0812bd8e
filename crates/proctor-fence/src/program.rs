//! A seccomp filter as a list of rules, and as the kernel's program.

use libc::c_long;

use crate::sys::Instruction;

/// What a filter answers to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The kernel does it.
    Allow,
    /// The caller gets this error number.
    Refuse(i32),
    /// The parent outside is asked.
    Ask,
}

/// What must hold of an argument. All arguments that rules look at are 32 bits wide: the kernel ignores the upper half.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Test {
    /// It is this.
    Is(u32),
    /// It is something else.
    IsNot(u32),
    /// It has one of these bits.
    AnyOf(u32),
    /// It has none of these bits.
    NoneOf(u32),
    /// These bits of it have this value.
    Masked(u32, u32),
}

/// One rule. The first rule of a call that holds is the answer; a call without one is allowed.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) call: c_long,
    pub(crate) when: Vec<(u8, Test)>,
    pub(crate) answer: Answer,
}

impl Rule {
    /// A rule for every call of this number.
    pub(crate) fn always(call: c_long, answer: Answer) -> Self {
        Self { call, when: Vec::new(), answer }
    }

    /// A rule for calls whose arguments are so.
    pub(crate) fn when(call: c_long, when: &[(u8, Test)], answer: Answer) -> Self {
        Self { call, when: when.to_vec(), answer }
    }
}

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xC000_00B7;

/// From here on numbers are of x86-64's other set of calls (x32), which the rules do not know.
const X32: u32 = 0x4000_0000;

/// Where `struct seccomp_data` has the number, the architecture and the first argument.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;

/// The program that answers by the rules. Calls of another architecture end the process: no rule knows them.
pub(crate) fn assemble(rules: &[Rule]) -> Vec<Instruction> {
    let mut calls: Vec<c_long> = Vec::new();
    for rule in rules {
        if !calls.contains(&rule.call) {
            calls.push(rule.call);
        }
    }
    let mut program = vec![
        load(ARCH_AT),
        jump(libc::BPF_JEQ, ARCH, 1, 0),
        give(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER_AT),
        jump(libc::BPF_JGE, X32, 0, 1),
        give(value(Answer::Refuse(libc::ENOSYS))),
    ];
    for call in calls {
        let body = body(rules.iter().filter(|rule| rule.call == call));
        let past = u8::try_from(body.len()).unwrap_or(u8::MAX);
        program.push(jump(libc::BPF_JEQ, low(call), 0, past));
        program.extend(body);
    }
    program.push(give(libc::SECCOMP_RET_ALLOW));
    program
}

/// The rules of one call, one after the other.
fn body<'a>(rules: impl Iterator<Item = &'a Rule>) -> Vec<Instruction> {
    let mut body = Vec::new();
    for rule in rules {
        // Written from the end, so that each test knows how far it is to the next rule.
        let mut lines = vec![give(value(rule.answer))];
        for (argument, test) in rule.when.iter().rev() {
            let rest = u8::try_from(lines.len()).unwrap_or(u8::MAX);
            let mut tested = vec![load(ARGUMENTS_AT + 8 * u32::from(*argument))];
            tested.extend(match *test {
                Test::Is(value) => vec![jump(libc::BPF_JEQ, value, 0, rest)],
                Test::IsNot(value) => vec![jump(libc::BPF_JEQ, value, rest, 0)],
                Test::AnyOf(bits) => vec![jump(libc::BPF_JSET, bits, 0, rest)],
                Test::NoneOf(bits) => vec![jump(libc::BPF_JSET, bits, rest, 0)],
                Test::Masked(mask, value) => vec![
                    instruction(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, mask),
                    jump(libc::BPF_JEQ, value, 0, rest),
                ],
            });
            tested.extend(lines);
            lines = tested;
        }
        body.extend(lines);
    }
    body.push(give(libc::SECCOMP_RET_ALLOW));
    body
}

fn value(answer: Answer) -> u32 {
    match answer {
        Answer::Allow => libc::SECCOMP_RET_ALLOW,
        Answer::Refuse(errno) => libc::SECCOMP_RET_ERRNO | errno.unsigned_abs(),
        Answer::Ask => libc::SECCOMP_RET_USER_NOTIF,
    }
}

/// Numbers of calls are small and positive.
fn low(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code: libc::c_ushort::try_from(code).unwrap_or_default(), jt, jf, k }
}

fn load(at: u32) -> Instruction {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at)
}

fn jump(how: u32, value: u32, yes: u8, no: u8) -> Instruction {
    instruction(libc::BPF_JMP | how | libc::BPF_K, yes, no, value)
}

fn give(value: u32) -> Instruction {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, value)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use super::*;

    /// Runs a program as the kernel does; the answer's raw value.
    fn answer(program: &[Instruction], arch: u32, call: u32, arguments: [u32; 6]) -> u32 {
        let (mut at, mut register) = (0, 0);
        loop {
            let one = program[at];
            let code = u32::from(one.code);
            at += 1;
            match code & 7 {
                libc::BPF_LD => {
                    register = match one.k {
                        NUMBER_AT => call,
                        ARCH_AT => arch,
                        other => arguments[((other - ARGUMENTS_AT) / 8) as usize],
                    }
                }
                libc::BPF_ALU => register &= one.k,
                libc::BPF_JMP => {
                    let holds = match code & 0xf0 {
                        libc::BPF_JEQ => register == one.k,
                        libc::BPF_JGE => register >= one.k,
                        _ => register & one.k != 0,
                    };
                    at += usize::from(if holds { one.jt } else { one.jf });
                }
                _ => return one.k,
            }
        }
    }

    /// What rules answer to a call.
    pub(crate) fn asked(rules: &[Rule], call: c_long, arguments: &[u32]) -> u32 {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        answer(&assemble(rules), ARCH, low(call), all)
    }

    #[test]
    fn the_first_rule_that_holds_is_the_answer() {
        let rules = [
            Rule::when(7, &[(0, Test::Is(3)), (1, Test::AnyOf(6))], Answer::Refuse(1)),
            Rule::when(7, &[(0, Test::IsNot(3)), (1, Test::Masked(0xf, 2))], Answer::Ask),
            Rule::when(7, &[(2, Test::NoneOf(8))], Answer::Refuse(2)),
            Rule::always(9, Answer::Refuse(5)),
        ];
        let refused = |errno: u32| libc::SECCOMP_RET_ERRNO | errno;
        assert_eq!(asked(&rules, 7, &[3, 2, 8]), refused(1));
        assert_eq!(asked(&rules, 7, &[3, 1, 8]), libc::SECCOMP_RET_ALLOW);
        assert_eq!(asked(&rules, 7, &[4, 0x12, 8]), libc::SECCOMP_RET_USER_NOTIF);
        assert_eq!(asked(&rules, 7, &[4, 3, 7]), refused(2));
        assert_eq!(asked(&rules, 9, &[]), refused(5));
        assert_eq!(asked(&rules, 8, &[]), libc::SECCOMP_RET_ALLOW);
    }

    #[test]
    fn calls_of_other_sets_go_past_no_rule() {
        let program = assemble(&[]);
        assert_eq!(answer(&program, ARCH, X32 + 1, [0; 6]), libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs());
        assert_eq!(answer(&program, 0x4000_0003, 1, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
