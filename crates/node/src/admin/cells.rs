//! What the cells use, for `cella top`.

use cella_catalog::ServerStatus;
use cella_cell::Class;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Admin, Body, json_body, text};
use crate::usage::Processes;

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
        if server.pids.is_empty() {
            return vec![self.row(server, None, processes)];
        }
        server.pids.iter().map(|pid| self.row(server, Some(*pid), processes)).collect()
    }

    fn row(&self, server: &ServerStatus, pid: Option<u32>, processes: &Processes) -> Value {
        let usage = pid.and_then(|pid| processes.tree(pid));
        let class = self.class(&server.name);
        json!({
            "server": server.name,
            "class": (pid.is_some() || class == Class::Remote.as_str()).then_some(class),
            "pid": pid,
            "state": server.status,
            "running": server.running,
            "cpu_ms": usage.map(|usage| usage.cpu_ms),
            "memory_bytes": usage.map(|usage| usage.memory_bytes),
            "processes": usage.map(|usage| usage.processes),
            "uptime_ms": usage.map(|usage| usage.uptime_ms),
            "connections": pid.map(|pid| self.living.connections(pid)),
        })
    }
}
