//! What the cells use, for `cella top`.

use cella_catalog::ServerStatus;
use cella_cell::Class;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Admin, Body, json_body, text};
use cella_freezer::Processes;

/// The state of a cell that waits for a program.
const SHELL: &str = "shell";

impl Admin {
    /// One row per cell; a server without one has a row as well, so that nothing is missing.
    pub(super) async fn cells(&self) -> Response<Body> {
        let Ok(processes) = tokio::task::spawn_blocking(Processes::read).await else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "the node is ending\n");
        };
        let rows: Vec<Value> =
            self.catalog.status().iter().flat_map(|server| self.rows(server, &processes)).collect();
        json_body(StatusCode::OK, &json!({ "schema": "cella/v1", "at_ms": processes.at_ms(), "cells": rows }))
    }

    fn rows(&self, server: &ServerStatus, processes: &Processes) -> Vec<Value> {
        let running = |pid| self.row(server, pid, (json!(server.status), server.running), processes);
        let mut rows: Vec<Value> = server.pids.iter().map(|pid| running(Some(*pid))).collect();
        if rows.is_empty() {
            rows.push(running(None));
        }
        // What waits uses the machine as well, although nothing of the server runs in it.
        let waiting = self.shells.pids(&server.name);
        rows.extend(
            waiting.into_iter().map(|pid| self.row(server, Some(pid), (json!(SHELL), false), processes)),
        );
        rows
    }

    fn row(
        &self,
        server: &ServerStatus,
        pid: Option<u32>,
        (state, running): (Value, bool),
        processes: &Processes,
    ) -> Value {
        let usage = pid.and_then(|pid| processes.tree(pid));
        let class = self.class(&server.name);
        json!({
            "server": server.name,
            "class": (pid.is_some() || class == Class::Remote.as_str()).then_some(class),
            "pid": pid,
            "state": state,
            "running": running,
            "cpu_ms": usage.map(|usage| usage.cpu_ms),
            "memory_bytes": usage.map(|usage| usage.memory_bytes),
            "processes": usage.map(|usage| usage.processes),
            "uptime_ms": usage.map(|usage| usage.uptime_ms),
            "connections": pid.map(|pid| self.living.connections(pid)),
        })
    }
}
