//! Directives → one program and what to expect of it.
//!
//! In: the directives of a script. Out: [`Planned`]: a linked script program whose actions carry the ids
//! (positions) of their directives, the [`Expectation`] for each of them, and the outcomes of directives
//! that nothing has to run for. Modules go through the compiler's own front end and import matching here.

use crate::script::{Directive, Execute, Expected, Kind, Source};
use crate::{Outcome, spectest};
use elfin_compiler::link::Linker;
use elfin_compiler::module::{Module, ValType};
use elfin_compiler::program::{Constant, InstanceId, Program};
use elfin_compiler::{Error, Options, parse};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A script, ready to be compiled.
#[derive(Debug)]
pub struct Planned<'m> {
    /// The program.
    pub program: Program<'m>,
    /// What its actions should come to, by id.
    pub expected: BTreeMap<u32, Expectation>,
    /// For each directive, what it came to, if that is known already.
    pub decided: Vec<Option<Outcome>>,
}

/// What an action should come to.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// It is carried out.
    Done,
    /// It has these results.
    Results(Vec<Expected>),
    /// It traps, and the message of the trap begins like this.
    Trap(String),
    /// It ends with an exception that nothing catches.
    Exception,
    /// Import matching refuses it when it is carried out.
    Unlinkable,
}

/// The modules of a script in the binary format, one for each directive that has a module.
#[derive(Debug)]
pub struct Binaries {
    spectest: Result<Vec<u8>, Error>,
    modules: Vec<Option<Result<Vec<u8>, Error>>>,
}

/// The modules of a script, validated.
#[derive(Debug)]
pub struct Modules<'a> {
    spectest: Result<Module<'a>, Error>,
    modules: Vec<Option<Result<Module<'a>, Error>>>,
}

/// Brings all modules of a script into the binary format, by the compiler's own front end.
#[must_use]
pub fn to_binaries(directives: &[Directive]) -> Binaries {
    let binary = |name: &str, bytes: &[u8]| {
        guarded(|| parse::to_binary(name, bytes).map(std::borrow::Cow::into_owned))
    };
    let module = |source: &Source| match source {
        Source::Binary(bytes) | Source::Text(bytes) => binary("script", bytes),
        Source::Refused(message) => Err(Error::Text {
            message: message.clone(),
            module: "script".to_owned(),
        }),
    };
    Binaries {
        spectest: binary("spectest", spectest::SPECTEST.as_bytes()),
        modules: directives
            .iter()
            .map(|directive| source(&directive.kind).map(module))
            .collect(),
    }
}

/// Validates all modules of a script.
#[must_use]
pub fn parse_modules(binaries: &Binaries) -> Modules<'_> {
    fn module<'a>(name: &str, binary: &'a Result<Vec<u8>, Error>) -> Result<Module<'a>, Error> {
        let binary = binary.as_ref().map_err(Clone::clone)?;
        guarded(|| parse::parse(name, binary))
    }
    Modules {
        spectest: module("spectest", &binaries.spectest),
        modules: binaries
            .modules
            .iter()
            .zip(0..)
            .map(|(binary, id)| Some(module(&format!("module-{id}"), binary.as_ref()?)))
            .collect(),
    }
}

fn source(kind: &Kind) -> Option<&Source> {
    match kind {
        Kind::Module { source, .. }
        | Kind::Unlinkable(source, _)
        | Kind::Invalid(source)
        | Kind::Malformed(source)
        | Kind::Return(Execute::Instantiate(source), _)
        | Kind::Trap(Execute::Instantiate(source), _)
        | Kind::Exception(Execute::Instantiate(source)) => Some(source),
        _ => None,
    }
}

/// A panic of the compiler is a bug of it.
fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Error::Internal {
            message: format!("panic: {}", message.unwrap_or("no message")),
            place: elfin_compiler::Place::default(),
        })
    })
}

/// An error with its place.
fn describe(error: &Error) -> String {
    match error.place() {
        Some(place) => format!("{error} ({place})"),
        None => error.to_string(),
    }
}

/// Why an error means that a directive is not as expected, or is not tried.
fn refused(error: &Error) -> Outcome {
    match error {
        Error::Unsupported { feature, .. } => Outcome::Skipped(feature.clone()),
        error => Outcome::Failed(describe(error)),
    }
}

/// Id of the action that makes the instance of `spectest`.
pub const SPECTEST_ID: u32 = u32::MAX;

/// What a name in a script stands for: something, or the outcome that it has instead.
type Slot<T> = Result<T, Outcome>;

/// Links the modules of a script, in its order.
#[must_use]
pub fn plan<'m>(
    directives: &[Directive],
    modules: &'m Modules<'m>,
    options: &'m Options,
) -> Planned<'m> {
    let mut planner = Planner {
        modules,
        linker: Linker::script(options),
        instances: HashMap::new(),
        last_instance: Err(Outcome::Failed("there is no instance yet".to_owned())),
        definitions: HashMap::new(),
        last_definition: None,
        registered: HashMap::new(),
        threads: HashMap::new(),
        expected: BTreeMap::new(),
        decided: Vec::new(),
    };
    planner.add_spectest();
    planner.run(directives);
    let decided = planner.decided;
    Planned {
        program: planner.linker.finish(),
        expected: planner.expected,
        decided,
    }
}

struct Planner<'m> {
    modules: &'m Modules<'m>,
    linker: Linker<'m, 'm>,
    instances: HashMap<String, Slot<InstanceId>>,
    last_instance: Slot<InstanceId>,
    definitions: HashMap<String, u32>,
    last_definition: Option<u32>,
    /// What cannot be imported although it was registered, and why.
    registered: HashMap<String, Slot<InstanceId>>,
    /// Numbers of threads by name.
    threads: HashMap<String, Slot<u32>>,
    expected: BTreeMap<u32, Expectation>,
    /// What the directives so far came to: the number of them is the id of the next.
    decided: Vec<Option<Outcome>>,
}

impl<'m> Planner<'m> {
    /// Plans directives, those of a thread right behind the one that starts it.
    fn run(&mut self, mut directives: &[Directive]) {
        while let Some((directive, rest)) = directives.split_first() {
            directives = rest;
            let id = self.decided.len() as u32;
            if let Kind::Thread {
                name,
                shared,
                directives: count,
            } = &directive.kind
            {
                let (own, rest) = rest.split_at(*count as usize);
                directives = rest;
                self.thread(id, name, shared.as_deref(), own);
            } else {
                let outcome = self.directive(id, &directive.kind);
                self.decided.push(outcome);
            }
        }
    }

    /// A thread sees the instance that is shared with it, `spectest`, and what it makes itself; nobody else sees that.
    fn thread(&mut self, id: u32, name: &str, shared: Option<&str>, directives: &[Directive]) {
        let shared_slot = shared.map(|name| self.slot(Some(name)));
        let thread = match self.linker.begin_thread(id, &["spectest"]) {
            Ok(thread) => thread,
            Err(error) => {
                let outcome = refused(&error);
                self.threads.insert(name.to_owned(), Err(outcome.clone()));
                self.decided
                    .extend((0..=directives.len()).map(|_| Some(outcome.clone())));
                return;
            }
        };
        self.expected.insert(id, Expectation::Done);
        self.decided.push(None);
        let number = thread.number;
        let none = Err(Outcome::Failed("there is no instance yet".to_owned()));
        let outside = (
            std::mem::take(&mut self.instances),
            std::mem::replace(&mut self.last_instance, none),
            std::mem::take(&mut self.definitions),
            self.last_definition.take(),
            std::mem::take(&mut self.registered),
            std::mem::take(&mut self.threads),
        );
        if let Some(spectest) = outside.4.get("spectest") {
            self.registered
                .insert("spectest".to_owned(), spectest.clone());
        }
        if let (Some(shared), Some(slot)) = (shared, shared_slot) {
            self.instances.insert(shared.to_owned(), slot);
        }
        self.run(directives);
        (
            self.instances,
            self.last_instance,
            self.definitions,
            self.last_definition,
            self.registered,
            self.threads,
        ) = outside;
        self.linker.end_thread(thread);
        self.threads.insert(name.to_owned(), Ok(number));
    }

    /// The instance that scripts import from has an action as well; its id is that of no directive.
    fn add_spectest(&mut self) {
        let slot = match &self.modules.spectest {
            Ok(module) => self
                .linker
                .instantiate(SPECTEST_ID, module)
                .map_err(|e| refused(&e)),
            Err(error) => Err(refused(error)),
        };
        self.register("spectest", slot);
    }

    fn register(&mut self, name: &str, slot: Slot<InstanceId>) {
        if let Ok(instance) = slot {
            self.linker.register(name, instance);
        }
        self.registered.insert(name.to_owned(), slot);
    }

    /// What a directive came to, unless that is known only when its action was carried out.
    fn directive(&mut self, id: u32, kind: &Kind) -> Option<Outcome> {
        match kind {
            Kind::Module {
                name, definition, ..
            } => {
                self.last_definition = Some(id);
                if let Some(name) = name {
                    self.definitions.insert(name.clone(), id);
                }
                if *definition {
                    return Some(match self.module(id) {
                        Ok(_) => Outcome::Passed,
                        Err(outcome) => outcome,
                    });
                }
                self.instance(id, id, name.as_deref())
            }
            Kind::Instance { name, module } => {
                let definition = match module {
                    Some(module) => self.definitions.get(module).copied(),
                    None => self.last_definition,
                };
                let Some(definition) = definition else {
                    return Some(Outcome::Failed("there is no such module".to_owned()));
                };
                self.instance(id, definition, name.as_deref())
            }
            Kind::Register { name, instance } => {
                let slot = self.slot(instance.as_deref());
                self.register(name, slot.clone());
                Some(slot.err().unwrap_or(Outcome::Passed))
            }
            Kind::Return(execute, results) => {
                let expectation = match results {
                    Some(results) => Expectation::Results(results.clone()),
                    None => Expectation::Done,
                };
                self.execute(id, execute, expectation)
            }
            Kind::Trap(execute, message) => {
                self.execute(id, execute, Expectation::Trap(message.clone()))
            }
            Kind::Exception(execute) => self.execute(id, execute, Expectation::Exception),
            Kind::Unlinkable(_, message) => self.unlinkable(id, message),
            Kind::Invalid(_) => Some(self.refused_module(id, "invalid")),
            Kind::Malformed(_) => Some(self.refused_module(id, "malformed")),
            Kind::Wait(name) => match self.threads.get(name).cloned() {
                Some(Ok(number)) => {
                    self.linker.wait(id, number);
                    self.expected.insert(id, Expectation::Done);
                    None
                }
                Some(Err(outcome)) => Some(outcome),
                None => Some(Outcome::Failed(format!("there is no thread ${name}"))),
            },
            Kind::Thread { .. } => {
                unreachable!("`run` takes threads apart")
            }
            Kind::Needs(feature) => Some(Outcome::Skipped((*feature).to_owned())),
        }
    }

    fn module(&self, id: u32) -> Slot<&'m Module<'m>> {
        let module = self.modules.modules[id as usize].as_ref();
        let module = module.ok_or_else(|| Outcome::Failed("it has no module".to_owned()))?;
        module.as_ref().map_err(refused)
    }

    /// Makes an instance the next action of the program.
    fn link(&mut self, id: u32, module: u32) -> Slot<Result<InstanceId, Error>> {
        let module = self.module(module)?;
        for import in &module.imports {
            if let Some(Err(outcome)) = self.registered.get(import.module) {
                return Err(outcome.clone());
            }
        }
        Ok(self.linker.instantiate(id, module))
    }

    fn instance(&mut self, id: u32, module: u32, name: Option<&str>) -> Option<Outcome> {
        let slot = match self.link(id, module) {
            Ok(Ok(instance)) => Ok(instance),
            Ok(Err(error)) => Err(refused(&error)),
            Err(outcome) => Err(outcome),
        };
        self.last_instance = slot.clone();
        if let Some(name) = name {
            self.instances.insert(name.to_owned(), slot.clone());
        }
        if slot.is_ok() {
            self.expected.insert(id, Expectation::Done);
        }
        slot.err()
    }

    fn slot(&self, name: Option<&str>) -> Slot<InstanceId> {
        match name {
            None => self.last_instance.clone(),
            Some(name) => {
                self.instances.get(name).cloned().unwrap_or_else(|| {
                    Err(Outcome::Failed(format!("there is no instance ${name}")))
                })
            }
        }
    }

    fn execute(&mut self, id: u32, execute: &Execute, expectation: Expectation) -> Option<Outcome> {
        let result = match execute {
            Execute::Invoke {
                instance,
                export,
                arguments,
            } => self.invoke(id, instance.as_deref(), export, arguments),
            Execute::Get { instance, export } => {
                self.slot(instance.as_deref()).and_then(|instance| {
                    self.linker
                        .get(id, instance, export)
                        .map_err(|e| refused(&e))
                })
            }
            Execute::Instantiate(_) => match self.link(id, id) {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(refused(&error)),
                Err(outcome) => Err(outcome),
            },
        };
        let needs = match &expectation {
            Expectation::Results(results) => results.iter().find_map(|result| match result {
                Expected::Needs(feature) => Some(*feature),
                _ => None,
            }),
            _ => None,
        };
        match (result, needs) {
            (Err(outcome), _) => Some(outcome),
            // It is carried out all the same, for what comes behind it.
            (Ok(()), Some(feature)) => Some(Outcome::Failed(format!(
                "the result needs {feature}, the function that gives it does not"
            ))),
            (Ok(()), None) => {
                self.expected.insert(id, expectation);
                None
            }
        }
    }

    fn invoke(
        &mut self,
        id: u32,
        instance: Option<&str>,
        export: &str,
        arguments: &Result<Vec<(ValType, Constant)>, &'static str>,
    ) -> Slot<()> {
        let instance = self.slot(instance)?;
        match arguments {
            Ok(arguments) => self
                .linker
                .invoke(id, instance, export, arguments)
                .map_err(|e| refused(&e)),
            Err(feature) => Err(Outcome::Skipped((*feature).to_owned())),
        }
    }

    fn unlinkable(&mut self, id: u32, message: &str) -> Option<Outcome> {
        match self.link(id, id) {
            Err(outcome) => Some(outcome),
            Ok(Err(Error::Link { message: found, .. })) => Some(if found.starts_with(message) {
                Outcome::Passed
            } else {
                Outcome::Failed(format!("unlinkable for another reason: {found}"))
            }),
            Ok(Err(error)) => Some(refused(&error)),
            Ok(Ok(instance)) => {
                let checks = &self.linker.program().instances[instance.index()].checks;
                if checks.is_empty() {
                    // The action stays; what it does is not reported for this directive.
                    return Some(Outcome::Failed("it links".to_owned()));
                }
                self.expected.insert(id, Expectation::Unlinkable);
                None
            }
        }
    }

    /// The outcome of a directive that wants a module refused.
    fn refused_module(&self, id: u32, what: &str) -> Outcome {
        match &self.modules.modules[id as usize] {
            Some(Err(Error::Invalid { .. } | Error::Text { .. })) => Outcome::Passed,
            Some(Err(error)) => refused(error),
            Some(Ok(_)) => Outcome::Failed(format!("the module is {what}, but was accepted")),
            None => Outcome::Failed("it has no module".to_owned()),
        }
    }
}
