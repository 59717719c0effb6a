//! Limits of a schema, which bound its evaluation whatever the value.
//!
//! They are checked on the graph of the schema, before it is compiled.

use std::collections::{HashMap, HashSet};

use super::InvalidSchema;
use super::graph::{Graph, Target};

/// Subschemas with each reference replaced by its target. One value of the smallest form is checked against all of
/// them, which takes about a millisecond at this number.
pub(super) const MAX_EXPANDED_SUBSCHEMAS: u64 = 10_000;
/// Nested subschemas and references for one value, because each needs stack.
pub(super) const MAX_NESTED_SUBSCHEMAS: usize = 64;
/// Regular expressions, because each takes up to [`MAX_PATTERN_BYTES`] of memory.
pub(super) const MAX_PATTERNS: usize = 100;
/// Steps of the search for recursion, which is bounded because a schema may have a hundred thousand subschemas.
const MAX_RECURSION_STEPS: u64 = 1_000_000;
/// Memory of a compiled regular expression, and of its cache. The time for each byte of a text grows with it.
pub(super) const MAX_PATTERN_BYTES: usize = 512 * 1024;

impl Graph {
    /// Checks the limits that keep an evaluation within its stack and memory, and returns the number of nested
    /// subschemas for one value.
    ///
    /// # Errors
    /// When a limit is exceeded.
    pub(super) fn check_evaluable(&self) -> Result<usize, InvalidSchema> {
        if self.patterns > MAX_PATTERNS {
            return Err(InvalidSchema(format!(
                "it has {} patterns; at most {MAX_PATTERNS} are allowed",
                self.patterns
            )));
        }
        let mut measures = vec![None; self.subschemas.len()];
        let mut nested = 1;
        for index in 0..self.subschemas.len() {
            let measured = self.measure_in_place(index, 0, &mut measures)?;
            check_expansion(measured.size)?;
            nested = nested.max(measured.depth);
        }
        Ok(nested)
    }

    /// Checks the limits of a schema that is put into the catalogue, which also bound the work for large values.
    ///
    /// # Errors
    /// When a limit is exceeded.
    pub(super) fn check_acceptable(&self) -> Result<(), InvalidSchema> {
        let cycles = self.find_cycles();
        check_expansion(self.expanded_size(&cycles))?;
        let mut steps = 0;
        for index in 0..self.subschemas.len() {
            self.check_recursion(index, &cycles.component, &mut steps)?;
        }
        Ok(())
    }

    /// Measures the subschemas that apply to the same value as a subschema.
    fn measure_in_place(
        &self,
        index: usize,
        depth: usize,
        measures: &mut [Option<Measure>],
    ) -> Result<Measure, InvalidSchema> {
        if let Some(measure) = measures[index] {
            return Ok(measure);
        }
        // A cycle exceeds the depth, too.
        if depth > MAX_NESTED_SUBSCHEMAS {
            return Err(InvalidSchema(format!(
                "more than {MAX_NESTED_SUBSCHEMAS} subschemas and references are nested for one value, or a \
                 subschema refers to itself for the same value; refer to fewer definitions in a row"
            )));
        }
        let subschema = &self.subschemas[index];
        let mut measure = Measure { size: 1, depth: 1 };
        for (_, to) in subschema.edges.iter().filter(|(target, _)| *target == Target::Same) {
            let part = self.measure_in_place(*to, depth + 1, measures)?;
            measure.size = measure.size.saturating_add(part.size);
            measure.depth = measure.depth.max(part.depth + 1);
        }
        if subschema.evaluates_twice {
            measure.size = measure.size.saturating_mul(2);
        }
        if measure.depth > MAX_NESTED_SUBSCHEMAS {
            return self.measure_in_place(index, MAX_NESTED_SUBSCHEMAS + 1, measures);
        }
        measures[index] = Some(measure);
        Ok(measure)
    }

    /// Counts the subschemas below the root, with each reference replaced by its target; a cycle counts once.
    fn expanded_size(&self, cycles: &Search) -> u64 {
        let mut sizes = vec![1_u64; self.subschemas.len()];
        for index in &cycles.closed {
            let part =
                |to: usize| if cycles.component[to] == cycles.component[*index] { 1 } else { sizes[to] };
            let parts = self.subschemas[*index].edges.iter().map(|(_, to)| part(*to));
            sizes[*index] = parts.fold(1, u64::saturating_add);
        }
        sizes.first().copied().unwrap_or(1)
    }

    /// Finds the strongly connected components of the graph, by Tarjan's algorithm.
    fn find_cycles(&self) -> Search {
        let mut search = Search::new(self.subschemas.len());
        for index in 0..self.subschemas.len() {
            if search.order[index].is_none() {
                search.visit(self, index);
            }
        }
        search
    }

    /// Checks that a subschema leads to itself at most once for each part of a value, because the evaluations
    /// otherwise double with each level of the value.
    fn check_recursion(
        &self,
        index: usize,
        component: &[usize],
        steps: &mut u64,
    ) -> Result<(), InvalidSchema> {
        let mut found = PartCounts::default();
        let mut next = vec![index];
        while let Some(at) = next.pop() {
            *steps += 1;
            if *steps > MAX_RECURSION_STEPS {
                return check_expansion(*steps);
            }
            let edges = &self.subschemas[at].edges;
            next.extend(edges.iter().filter(|(target, _)| *target == Target::Same).map(|(_, to)| *to));
            let recursive = edges.iter().filter(|(_, to)| component[*to] == component[index]);
            found.add(recursive.map(|(target, _)| target).filter(|target| **target != Target::Same));
        }
        if found.max() > 1 {
            return Err(InvalidSchema(
                "a definition refers to itself several times for the same part of a value, so that the work doubles \
                 with each level; refer to it once, outside of anyOf, oneOf and allOf"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// How often a part of a value leads back to a subschema.
#[derive(Default)]
struct PartCounts<'a> {
    members: HashMap<&'a str, usize>,
    /// Members of any other name.
    others: usize,
    items: usize,
}

impl<'a> PartCounts<'a> {
    /// Adds the recursive edges of one subschema.
    fn add(&mut self, targets: impl Iterator<Item = &'a Target>) {
        let targets: Vec<&Target> = targets.collect();
        if targets.is_empty() {
            return;
        }
        let count = |wanted: &Target| targets.iter().filter(|target| **target == wanted).count();
        let matching = count(&Target::MatchingMembers);
        let other = usize::from(count(&Target::OtherMembers) > 0);
        let mut named = HashSet::new();
        for target in &targets {
            if let Target::Member(name) = target {
                named.insert(name.as_str());
            }
        }
        let names: Vec<&'a str> = self.members.keys().copied().collect();
        for name in names.iter().filter(|name| !named.contains(*name)) {
            *self.members.entry(name).or_default() += matching + other;
        }
        let before = self.others;
        for name in named {
            *self.members.entry(name).or_insert(before) += 1 + matching;
        }
        self.others += matching + other;
        self.items += usize::from(count(&Target::Items) > 0) + count(&Target::ContainedItems);
    }

    fn max(&self) -> usize {
        self.members.values().copied().chain([self.others, self.items]).max().unwrap_or(0)
    }
}

fn check_expansion(size: u64) -> Result<(), InvalidSchema> {
    if size <= MAX_EXPANDED_SUBSCHEMAS {
        return Ok(());
    }
    Err(InvalidSchema(format!(
        "its references expand to more than {MAX_EXPANDED_SUBSCHEMAS} subschemas; refer to each definition from fewer \
         places"
    )))
}

#[derive(Debug, Clone, Copy)]
struct Measure {
    size: u64,
    depth: usize,
}

/// The state of Tarjan's algorithm.
struct Search {
    order: Vec<Option<usize>>,
    low: Vec<usize>,
    component: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    /// Subschemas, each after all those that it leads to and that do not lead back.
    closed: Vec<usize>,
    next: usize,
}

impl Search {
    fn new(size: usize) -> Self {
        Self {
            order: vec![None; size],
            low: vec![0; size],
            component: vec![usize::MAX; size],
            on_stack: vec![false; size],
            stack: Vec::new(),
            closed: Vec::new(),
            next: 0,
        }
    }

    /// Visits everything that can be reached from `root`, without recursion, because chains of references may be long.
    fn visit(&mut self, graph: &Graph, root: usize) {
        let mut path = vec![(root, 0)];
        self.enter(root);
        while let Some((at, edge)) = path.last_mut() {
            let at = *at;
            if let Some((_, to)) = graph.subschemas[at].edges.get(*edge) {
                *edge += 1;
                match self.order[*to] {
                    None => {
                        self.enter(*to);
                        path.push((*to, 0));
                    }
                    Some(order) if self.on_stack[*to] => self.low[at] = self.low[at].min(order),
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                self.low[*parent] = self.low[*parent].min(self.low[at]);
            }
            if Some(self.low[at]) == self.order[at] {
                self.close_component(at);
            }
        }
    }

    fn enter(&mut self, index: usize) {
        self.order[index] = Some(self.next);
        self.low[index] = self.next;
        self.next += 1;
        self.stack.push(index);
        self.on_stack[index] = true;
    }

    fn close_component(&mut self, root: usize) {
        while let Some(index) = self.stack.pop() {
            self.on_stack[index] = false;
            self.component[index] = root;
            self.closed.push(index);
            if index == root {
                return;
            }
        }
    }
}
