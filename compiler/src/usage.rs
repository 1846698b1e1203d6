//! What a program can reach, and what of it never changes.
//!
//! In: a [`Program`]. Out: [`Usage`], plain sets. In a closed world only what the entry, start functions
//! and tables lead to can ever run; the rest is not compiled. A mutable global that nothing sets is a
//! constant, a table that nothing writes or grows keeps its entries and its length.

use crate::module::{ConstExpr, ConstOperator, SegmentMode};
use crate::program::{
    ActionKind, Callee, Constant, FuncId, HostId, Instance, InstanceId, Program, UnknownId,
};

/// What a program uses. Vectors are indexed by program-wide ids.
#[derive(Debug)]
pub struct Usage {
    /// Some live function has a tail call.
    pub tail_calls: bool,
    /// Some live function throws exceptions.
    pub throws: bool,
    /// Some live function or constant expression makes objects: there is a heap, and references may lead to it.
    pub allocates: bool,
    /// Some live function gains from newer processors ([`crate::twins`]).
    pub gains: bool,
    /// Functions that can run, in order.
    pub live: Vec<FuncId>,
    /// Globals that some live function sets.
    pub globals_set: Vec<bool>,
    /// Tables that some live function changes an entry of.
    pub tables_written: Vec<bool>,
    /// Tables that some live function grows.
    pub tables_grown: Vec<bool>,
    /// Memories that some live function grows.
    pub memories_grown: Vec<bool>,
    /// Data segments that some live function reads or drops.
    pub data_used: Vec<bool>,
    /// Element segments that some live function reads or drops.
    pub elements_used: Vec<bool>,
    /// Host functions that are taken as references and need a function of the Wasm convention.
    pub host_references: Vec<bool>,
    /// Unknown imports likewise.
    pub unknown_references: Vec<bool>,
    /// Host functions that are called or taken as references.
    pub host_used: Vec<bool>,
}

/// Finds what `program` uses.
#[must_use]
pub fn find(program: &Program<'_>) -> Usage {
    let mut finder = Finder {
        program,
        live: vec![false; program.functions.len()],
        work: Vec::new(),
        usage: Usage {
            tail_calls: false,
            throws: false,
            allocates: false,
            gains: false,
            live: Vec::new(),
            globals_set: vec![false; program.globals.len()],
            tables_written: vec![false; program.tables.len()],
            tables_grown: vec![false; program.tables.len()],
            memories_grown: vec![false; program.memories.len()],
            data_used: vec![false; program.data.len()],
            elements_used: vec![false; program.elements.len()],
            host_references: vec![false; program.host_functions.len()],
            unknown_references: vec![false; program.unknown.len()],
            host_used: vec![false; program.host_functions.len()],
        },
    };
    finder.run();
    let mut usage = finder.usage;
    usage.live = (0..)
        .map(FuncId)
        .zip(&finder.live)
        .filter_map(|(id, live)| live.then_some(id))
        .collect();
    usage
}

struct Finder<'p> {
    program: &'p Program<'p>,
    live: Vec<bool>,
    work: Vec<FuncId>,
    usage: Usage,
}

impl Finder<'_> {
    fn run(&mut self) {
        let program = self.program;
        let entry = &program.entry;
        let called = entry.initialize.iter().chain(&entry.call);
        for id in called.chain(&entry.thread_start) {
            self.call(Callee::Defined(*id));
        }
        if let Some(actions) = &program.script {
            // A test wants every function compiled, called or not.
            for id in 0..program.functions.len() as u32 {
                self.call(Callee::Defined(FuncId(id)));
            }
            for action in actions {
                if let ActionKind::Invoke { callee, .. } = action.kind {
                    self.call(callee);
                }
            }
        }
        for instance in &program.instances {
            if let Some(start) = instance.module.start {
                self.call(instance.functions[start as usize]);
            }
            for element in &instance.module.elements {
                if matches!(element.mode, SegmentMode::Declared) {
                    continue;
                }
                for item in &element.items {
                    self.constant(crate::program::evaluate(&program.globals, instance, item));
                    self.expression(instance, item);
                }
            }
            let globals = instance.module.globals.iter().map(|global| &global.init);
            let tables = instance.module.tables.iter().map(|table| &table.init);
            for init in globals.chain(tables).flatten() {
                self.expression(instance, init);
            }
        }
        for global in &program.globals {
            self.constant(global.init);
        }
        for table in &program.tables {
            self.constant(table.init);
        }
        while let Some(id) = self.work.pop() {
            self.visit(id);
        }
        if program.has_threads() {
            // Their glue holds descriptors while they run.
            for (id, host) in program.host_functions.iter().enumerate() {
                let is_glued =
                    self.usage.host_used[id] && !host.function().descriptors().is_empty();
                self.usage.host_references[id] |= is_glued;
            }
        }
    }

    fn constant(&mut self, constant: Constant) {
        if let Constant::Function(callee) = constant {
            self.reference(callee);
        }
    }

    /// What an expression that makes objects refers to.
    fn expression(&mut self, instance: &Instance<'_>, expression: &ConstExpr) {
        if !expression.allocates() {
            return;
        }
        self.usage.allocates = true;
        for operator in &expression.operators {
            if let ConstOperator::RefFunc(index) = operator {
                self.reference(instance.functions[*index as usize]);
            }
        }
    }

    fn call(&mut self, callee: Callee) {
        match callee {
            Callee::Defined(id) => {
                if !std::mem::replace(&mut self.live[id.index()], true) {
                    self.work.push(id);
                }
            }
            Callee::Host(HostId(id)) => self.usage.host_used[id as usize] = true,
            Callee::Unknown(_) => {}
        }
    }

    fn reference(&mut self, callee: Callee) {
        self.call(callee);
        match callee {
            Callee::Defined(_) => {}
            Callee::Host(HostId(id)) => self.usage.host_references[id as usize] = true,
            Callee::Unknown(UnknownId(id)) => self.usage.unknown_references[id as usize] = true,
        }
    }

    fn visit(&mut self, id: FuncId) {
        let function = self.program.functions[id.index()];
        let instance = &self.program.instances[function.instance.index()];
        let summary = &body_of(self.program, id).summary;
        for index in &summary.functions {
            // A summary does not tell a call from `ref.func`; taking every imported function for a
            // reference costs at most one small unreached function.
            let callee = instance.functions[*index as usize];
            if summary.takes_references {
                self.reference(callee)
            } else {
                self.call(callee)
            }
        }
        self.usage.tail_calls |= summary.tail_calls;
        self.usage.throws |= summary.throws;
        self.usage.allocates |= summary.allocates;
        self.usage.gains |= summary.gains;
        for index in &summary.globals_set {
            self.usage.globals_set[instance.globals[*index as usize].index()] = true;
        }
        for index in &summary.tables_written {
            self.usage.tables_written[instance.tables[*index as usize].index()] = true;
        }
        for index in &summary.tables_grown {
            self.usage.tables_grown[instance.tables[*index as usize].index()] = true;
        }
        for index in &summary.memories_grown {
            self.usage.memories_grown[instance.memories[*index as usize].index()] = true;
        }
        for index in &summary.data {
            self.usage.data_used[(instance.first_data + index) as usize] = true;
        }
        for index in &summary.elements {
            self.usage.elements_used[(instance.first_element + index) as usize] = true;
        }
    }
}

/// The body of a function.
///
/// # Panics
/// Never for an id of this program.
#[must_use]
pub fn body_of<'p>(program: &'p Program<'_>, id: FuncId) -> &'p crate::module::Body<'p> {
    let function = program.functions[id.index()];
    let module = program.instances[function.instance.index()].module;
    &module.bodies[(function.index - module.imported_functions) as usize]
}

/// Whether any code of the program can run before `instance` is instantiated.
#[must_use]
pub fn code_runs_before(program: &Program<'_>, instance: InstanceId) -> bool {
    program.script.is_some()
        || program.instances[..instance.index()]
            .iter()
            .any(|i| i.module.start.is_some())
}
