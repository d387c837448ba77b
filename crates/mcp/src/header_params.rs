//! Tool parameters that a modern client mirrors into `Mcp-Param-*` headers (2026-07-28, transports, `x-mcp-header`).

use serde_json::value::RawValue;

use crate::{object, raw, text, walk};

/// Mirrored parameters of one tool. Stops a schema from making every call of a tool carry thousands of headers; a tool
/// past it is invalid and left out of the list.
pub const HEADER_PARAMS_MAX: usize = 64;
/// Levels of a schema that are searched. Stops stack exhaustion by a nested schema; a tool past it is invalid.
const SCHEMA_DEPTH_MAX: usize = 128;
const KEYWORD: &str = "x-mcp-header";

/// The mirrored parameters of one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderParams {
    /// Each with its header name (without `Mcp-Param-`) and the path of property names in `arguments`.
    pub params: Vec<HeaderParam>,
}

/// One mirrored parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderParam {
    /// The header's name without the `Mcp-Param-` prefix, as the schema spells it.
    pub header: Box<str>,
    /// Property names from `arguments` down.
    pub path: Vec<Box<str>>,
}

/// Why the `x-mcp-header` annotations of a tool are invalid. Such a tool must be left out of `tools/list` over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHeaderParams {
    /// Empty, not a string, or not a header name token (RFC 9110 section 5.1).
    #[error("x-mcp-header {found} is no header name")]
    NotAToken {
        /// The JSON text of the annotation, cut to 64 characters.
        found: Box<str>,
    },
    /// Two parameters with the same header, upper and lower case not told apart.
    #[error("x-mcp-header {header:?} is used twice")]
    Duplicate {
        /// The header.
        header: Box<str>,
    },
    /// On a parameter that is no string, integer or boolean.
    #[error("x-mcp-header {header:?} is on a parameter of another type than string, integer or boolean")]
    NotPrimitive {
        /// The header.
        header: Box<str>,
    },
    /// Not reachable from the root by `properties` alone.
    #[error("x-mcp-header {found} stands where no argument can be named: below {below:?}")]
    Unreachable {
        /// The JSON text of the annotation, cut to 64 characters.
        found: Box<str>,
        /// The keyword that is in the way, or "the root".
        below: Box<str>,
    },
    /// More than [`HEADER_PARAMS_MAX`], or nested too deeply to be searched.
    #[error("more than {HEADER_PARAMS_MAX} x-mcp-header annotations, or a schema nested too deeply")]
    TooMany,
}

// === impl InvalidHeaderParams ===

impl InvalidHeaderParams {
    /// The code under which users find it, with a page in `docs/errors`.
    pub const CODE: &'static str = "CE3101";
}

// === impl HeaderParams ===

impl HeaderParams {
    /// Finds the annotations of a tool's `inputSchema`; `None` when there are none.
    ///
    /// # Errors
    /// [`InvalidHeaderParams`] when an annotation breaks a rule; the tool must not be offered over HTTP then.
    pub fn from_schema(input_schema: &RawValue) -> Result<Option<Self>, InvalidHeaderParams> {
        let schema = input_schema.get();
        // Nearly every schema has none, and a plain search costs far less than a walk.
        if !schema.contains(KEYWORD) && !schema.contains('\\') {
            return Ok(None);
        }
        let mut search = Search { found: Vec::new() };
        search.schema(schema, &Reach::Path(Vec::new()), 0)?;
        Ok((!search.found.is_empty()).then_some(Self { params: search.found }))
    }

    /// The argument of each parameter in `arguments`, with its header; arguments that are absent or `null` are left out.
    pub fn values<'a>(
        &'a self,
        arguments: Option<&'a RawValue>,
    ) -> impl Iterator<Item = (&'a HeaderParam, Option<&'a RawValue>)> {
        self.params.iter().map(move |param| (param, arguments.and_then(|a| param.value(a))))
    }
}

impl HeaderParam {
    /// The argument at this parameter's path; `None` when it is absent or `null`.
    #[must_use]
    pub fn value<'a>(&self, arguments: &'a RawValue) -> Option<&'a RawValue> {
        let at = self.path.iter().try_fold(arguments.get(), |at, key| object::member_text(at, key))?;
        (at != "null").then(|| raw::borrowed(at))
    }
}

/// How a subschema is reached from the root.
enum Reach<'a> {
    /// By these property names.
    Path(Vec<Box<str>>),
    /// Through this keyword, so that no single argument corresponds to it.
    Lost(&'a str),
}

struct Search {
    found: Vec<HeaderParam>,
}

impl Search {
    fn schema(&mut self, schema: &str, reach: &Reach<'_>, depth: usize) -> Result<(), InvalidHeaderParams> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(InvalidHeaderParams::TooMany);
        }
        for member in walk::members(schema).into_iter().flatten() {
            let keyword = text::unescape_lossy(member.key);
            match (keyword.as_ref(), reach) {
                (KEYWORD, _) => self.annotation(member.value, schema, reach)?,
                ("default" | "const" | "enum" | "examples" | "required", _) => {}
                ("properties", Reach::Path(path)) => {
                    for property in walk::members(member.value).into_iter().flatten() {
                        let mut path = path.clone();
                        path.push(text::unescape_lossy(property.key).into());
                        self.schema(property.value, &Reach::Path(path), depth + 1)?;
                    }
                }
                ("properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas", _) => {
                    for named in walk::members(member.value).into_iter().flatten() {
                        self.schema(named.value, &Reach::Lost(&keyword), depth + 1)?;
                    }
                }
                (below, _) => self.anything(member.value, below, depth + 1)?,
            }
        }
        Ok(())
    }

    /// The value of a keyword that does not lead to arguments: a schema, an array of schemas, or neither.
    fn anything(&mut self, value: &str, below: &str, depth: usize) -> Result<(), InvalidHeaderParams> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(InvalidHeaderParams::TooMany);
        }
        match value.as_bytes().first() {
            Some(b'{') => self.schema(value, &Reach::Lost(below), depth),
            Some(b'[') => {
                let mut elements = walk::elements(value).into_iter().flatten();
                elements.try_for_each(|element| self.anything(element, below, depth + 1))
            }
            _ => Ok(()),
        }
    }

    fn annotation(
        &mut self,
        value: &str,
        schema: &str,
        reach: &Reach<'_>,
    ) -> Result<(), InvalidHeaderParams> {
        let found = || value.chars().take(64).collect::<String>().into_boxed_str();
        let path = match reach {
            Reach::Path(path) if !path.is_empty() => path.clone(),
            Reach::Path(_) => {
                return Err(InvalidHeaderParams::Unreachable { found: found(), below: "the root".into() });
            }
            Reach::Lost(below) => {
                return Err(InvalidHeaderParams::Unreachable { found: found(), below: (*below).into() });
            }
        };
        let header = text::unescape(value)
            .filter(|h| is_token(h))
            .ok_or_else(|| InvalidHeaderParams::NotAToken { found: found() })?;
        let header: Box<str> = header.into_owned().into_boxed_str();
        if !is_primitive(schema) {
            return Err(InvalidHeaderParams::NotPrimitive { header });
        }
        if self.found.iter().any(|p| p.header.eq_ignore_ascii_case(&header)) {
            return Err(InvalidHeaderParams::Duplicate { header });
        }
        if self.found.len() == HEADER_PARAMS_MAX {
            return Err(InvalidHeaderParams::TooMany);
        }
        self.found.push(HeaderParam { header, path });
        Ok(())
    }
}

/// `1*tchar` (RFC 9110 section 5.6.2).
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A type of string, integer or boolean; `null` may stand beside it, for optional parameters.
fn is_primitive(schema: &str) -> bool {
    let Some(declared) = object::member_text(schema, "type") else { return false };
    let primitive = |name: &str| matches!(name, "string" | "integer" | "boolean");
    if let Some(name) = text::unescape(declared) {
        return primitive(&name);
    }
    let mut names = walk::elements(declared).into_iter().flatten().filter_map(text::unescape);
    let mut any = false;
    names.all(|name| {
        any |= primitive(&name);
        primitive(&name) || name == "null"
    }) && any
}

#[cfg(test)]
mod tests;
