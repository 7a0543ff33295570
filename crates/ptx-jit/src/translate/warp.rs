//! Barriers, and what the lanes of a warp do together.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, I32};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use ptx_reader::{Error, Operand};

use super::Translator;
use crate::opcode::{Opcode, Type};
use crate::runtime::thread::Thread;
use crate::runtime::wait::Role;
use crate::runtime::warp::Factor;

impl<'a> Translator<'a, '_> {
    pub fn warp(
        &mut self,
        opcode: &mut Opcode<'a>,
        operands: &[Operand<'a>],
    ) -> Result<bool, Error> {
        match (opcode.name, operands) {
            ("bar", [mask]) if opcode.take("warp") => {
                opcode.ignore(&["sync"]);
                let (mask, line) = (self.get(mask, Type::Bits(32))?, self.line_value());
                self.call_or_stop("warp_sync", &[self.thread, mask, line]);
            }
            ("bar" | "barrier", _) => self.barrier(opcode, operands)?,
            ("shfl", [to, value, lane, clamp, mask]) if opcode.take("sync") => {
                self.shuffle(opcode, to, [value, lane, clamp, mask])?;
            }
            ("vote", [to, predicate, mask]) if opcode.take("sync") => {
                self.vote(opcode, to, predicate, mask)?;
            }
            ("match", [to, value, mask]) => self.matching(opcode, to, value, mask)?,
            ("redux", [to, value, mask]) => self.reduce(opcode, to, value, mask)?,
            ("activemask", [to]) => {
                let ty = opcode.ty()?;
                let value = self.call("active", &[self.thread]);
                self.put(to, value, ty)?;
            }
            ("nanosleep", [_]) => {
                opcode.ty()?;
                self.call("pass", &[self.thread]);
            }
            ("ldmatrix", [Operand::Vector(to), from]) => self.load_matrix(opcode, to, from)?,
            (
                "mma",
                [
                    Operand::Vector(d),
                    Operand::Vector(a),
                    Operand::Vector(b),
                    Operand::Vector(c),
                ],
            ) => {
                self.multiply_matrices(opcode, d, [a, b, c])?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn barrier(&mut self, opcode: &mut Opcode<'a>, operands: &[Operand<'a>]) -> Result<(), Error> {
        opcode.ignore(&["cta", "aligned"]);
        let role = match opcode.one_of(&["sync", "arrive", "red"]) {
            Some("sync") => Role::Sync,
            Some("arrive") => Role::Arrive,
            Some(_) => Role::Count,
            None => return Err(opcode.error("is not known here")),
        };
        let zero = self.int(0);
        let (mut result, mut predicate, mut rest) = (None, zero, operands);
        if role == Role::Count
            && let [to, between @ .., last] = operands
        {
            result = Some(to);
            predicate = self.flag(last)?;
            rest = between;
        }
        let (index, expected) = match rest {
            [index] => (self.get(index, Type::Unsigned(32))?, zero),
            [index, count] => {
                let index = self.get(index, Type::Unsigned(32))?;
                (index, self.get(count, Type::Unsigned(32))?)
            }
            [] => (zero, zero),
            _ => return Err(opcode.error("has too many operands")),
        };
        let (role_value, line) = (self.int(role as u32), self.line_value());
        let arguments = [self.thread, index, expected, role_value, predicate, line];
        self.call_or_stop("barrier", &arguments);
        let Some(to) = result else {
            return Ok(());
        };
        let count = self.call("barrier_count", &[self.thread, index]);
        let how = opcode.one_of(&["popc", "and", "or"]);
        let ty = opcode.ty()?;
        let value = match how {
            Some("popc") => count,
            Some("or") => self.as_predicate(count),
            Some(_) => {
                let all = self.threads_at(expected);
                self.b.ins().icmp(IntCC::Equal, count, all)
            }
            None => return Err(opcode.error("is not known here")),
        };
        self.put(to, value, ty)
    }

    /// The threads that a barrier waits for: so many, or all of the block.
    fn threads_at(&mut self, expected: Value) -> Value {
        let at = offset_of!(Thread, block_dim);
        let [x, y, z] = [0, 4, 8].map(|i| self.field(I32, at + i));
        let plane = self.b.ins().imul(x, y);
        let all = self.b.ins().imul(plane, z);
        let is_given = self.as_predicate(expected);
        self.b.ins().select(is_given, expected, all)
    }

    fn shuffle(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        [value, lane, clamp, mask]: [&Operand<'a>; 4],
    ) -> Result<(), Error> {
        let modes = ["up", "down", "bfly", "idx"];
        let mode = opcode.place_in(&modes);
        let mode = mode.ok_or_else(|| opcode.error("is not known here"))?;
        let ty = opcode.ty()?;
        let value = self.get_bits(value, 32)?;
        let words = [lane, clamp, mask];
        let mut given = [value; 3];
        for (given, operand) in given.iter_mut().zip(words) {
            *given = self.get(operand, Type::Bits(32))?;
        }
        let room = self.room(2);
        let (mode, line) = (self.int(mode), self.line_value());
        let [lane, clamp, mask] = given;
        let arguments = [self.thread, room, value, mode, lane, clamp, mask, line];
        self.call_or_stop("shuffle", &arguments);
        let value = self.word_at(room, 0);
        let Operand::Pair(to, in_range) = to else {
            return self.put_raw(to, value, ty);
        };
        self.put_raw(to, value, ty)?;
        let flag = self.word_at(room, 1);
        let flag = self.as_predicate(flag);
        self.put(in_range, flag, Type::Pred)
    }

    fn vote(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        predicate: &Operand<'a>,
        mask: &Operand<'a>,
    ) -> Result<(), Error> {
        let modes = ["all", "any", "uni", "ballot"];
        let mode = opcode.place_in(&modes);
        let mode = mode.ok_or_else(|| opcode.error("is not known here"))?;
        let ty = opcode.ty()?;
        let predicate = self.flag(predicate)?;
        let mask = self.get(mask, Type::Bits(32))?;
        let room = self.room(1);
        let (mode, line) = (self.int(mode), self.line_value());
        self.call_or_stop("vote", &[self.thread, room, mode, predicate, mask, line]);
        let value = self.word_at(room, 0);
        match ty {
            Type::Pred => {
                let value = self.as_predicate(value);
                self.put(to, value, ty)
            }
            _ => self.put(to, value, ty),
        }
    }

    fn matching(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        value: &Operand<'a>,
        mask: &Operand<'a>,
    ) -> Result<(), Error> {
        let all = match opcode.one_of(&["any", "all"]) {
            Some(mode) => mode == "all",
            None => return Err(opcode.error("is not known here")),
        };
        opcode.ignore(&["sync"]);
        let ty = opcode.ty()?;
        let value = self.get_bits(value, ty.bits())?;
        let value = self.in_64_bits(value);
        let mask = self.get(mask, Type::Bits(32))?;
        let room = self.room(2);
        let (all, line) = (self.int(u32::from(all)), self.line_value());
        self.call_or_stop("matching", &[self.thread, room, all, value, mask, line]);
        let lanes = self.word_at(room, 0);
        let Operand::Pair(to, flag) = to else {
            return self.put(to, lanes, Type::Bits(32));
        };
        self.put(to, lanes, Type::Bits(32))?;
        let word = self.word_at(room, 1);
        let holds = self.as_predicate(word);
        self.put(flag, holds, Type::Pred)
    }

    fn reduce(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &Operand<'a>,
        value: &Operand<'a>,
        mask: &Operand<'a>,
    ) -> Result<(), Error> {
        opcode.ignore(&["sync"]);
        let modes = ["add", "min", "max", "and", "or", "xor"];
        let mode = opcode.place_in(&modes);
        let mode = mode.ok_or_else(|| opcode.error("is not known here"))?;
        let ty = opcode.ty()?;
        if ty.is_float() || ty.bits() != 32 {
            return Err(opcode.error("is not known here"));
        }
        let (value, mask) = (self.get(value, ty)?, self.get(mask, Type::Bits(32))?);
        let room = self.room(1);
        let (mode, signed) = (self.int(mode), self.int(u32::from(ty.is_signed())));
        let line = self.line_value();
        self.call_or_stop(
            "reduce",
            &[self.thread, room, mode, signed, value, mask, line],
        );
        let value = self.word_at(room, 0);
        self.put(to, value, ty)
    }

    fn load_matrix(
        &mut self,
        opcode: &mut Opcode<'a>,
        to: &[Operand<'a>],
        from: &Operand<'a>,
    ) -> Result<(), Error> {
        opcode.ignore(&["sync", "aligned"]);
        let count = match opcode.one_of(&["x1", "x2", "x4"]) {
            Some("x1") => 1,
            Some("x2") => 2,
            Some(_) => 4,
            None => return Err(opcode.error("lacks a count")),
        };
        let transposed = opcode.take("trans");
        let is_known = opcode.take("m8n8") & (opcode.take("shared") | opcode.take("shared::cta"));
        if !is_known || opcode.ty()? != Type::Bits(16) || to.len() != count {
            return Err(opcode.error("is not known here"));
        }
        let row = self.shared_offset(from)?;
        let room = self.room(4);
        let arguments = [
            self.thread,
            room,
            row,
            self.int(count as u32),
            self.int(u32::from(transposed)),
            self.line_value(),
        ];
        self.call_or_stop("load_matrix", &arguments);
        for (i, to) in to.iter().enumerate() {
            let word = self.word_at(room, i);
            self.put_raw(to, word, Type::Bits(32))?;
        }
        Ok(())
    }

    /// Products of fragments with sums in single precision.
    fn multiply_matrices(
        &mut self,
        opcode: &mut Opcode<'a>,
        d: &[Operand<'a>],
        [a, b, c]: [&Vec<Operand<'a>>; 3],
    ) -> Result<(), Error> {
        opcode.ignore(&["sync", "aligned"]);
        let depth = match opcode.one_of(&["m16n8k16", "m16n8k8", "m16n8k4"]) {
            Some("m16n8k16") => 16,
            Some("m16n8k8") => 8,
            Some(_) => 4,
            None => return Err(opcode.error("is not known here")),
        };
        let is_known = opcode.take("row") & opcode.take("col");
        let types = [opcode.ty()?, opcode.ty()?, opcode.ty()?, opcode.ty()?];
        let (factor, in_part) = match types {
            [Type::F32, Type::F16, Type::F16, Type::F32] => (Factor::F16, 8),
            [Type::F32, Type::Bf16, Type::Bf16, Type::F32] => (Factor::Bf16, 8),
            [Type::F32, Type::Tf32, Type::Tf32, Type::F32] => (Factor::Tf32, 4),
            _ => return Err(opcode.error("is not known here")),
        };
        let parts = depth / in_part;
        let fits = a.len() == 2 * parts && b.len() == parts && c.len() == 4 && d.len() == 4;
        if !is_known || parts == 0 || !fits {
            return Err(opcode.error("is not known here with these operands"));
        }
        let (words, sums) = (self.room(12), self.room(4));
        for (i, operand) in a.iter().chain(b).chain(c).enumerate() {
            let word = self.get_bits(operand, 32)?;
            self.b
                .ins()
                .store(MemFlagsData::trusted(), word, words, 4 * i as i32);
        }
        let (kind, depth) = (self.int(factor as u32), self.int(depth as u32));
        let line = self.line_value();
        self.call_or_stop("multiply", &[self.thread, sums, words, kind, depth, line]);
        for (i, to) in d.iter().enumerate() {
            let sum = self
                .b
                .ins()
                .load(F32, MemFlagsData::trusted(), sums, 4 * i as i32);
            self.put(to, sum, Type::F32)?;
        }
        Ok(())
    }
}
