// Whole agents. A scripted model makes them call one tool; what they report at the end must hold the tool's answer.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installed, scratch } from '../lib/places.mjs';

/** A home of its own, so that nobody's real settings or keys are read. */
function home(dir) { const path = join(dir, 'home'); mkdirSync(path); return { PATH: process.env.PATH, HOME: path, NO_COLOR: '1' }; }

function claudeCode() {
  const packages = installed('claude-code', 'node_modules', '@anthropic-ai');
  const program = packages && readdirSync(packages).map((p) => installed('claude-code', 'node_modules', '@anthropic-ai', p, 'claude')).find(Boolean);
  return program && ((url, token, model) => {
    const dir = scratch('claude'), config = join(dir, 'mcp.json');
    writeFileSync(config, JSON.stringify({ mcpServers: { cella: { type: 'http', url, headers: { Authorization: `Bearer ${token}` } } } }));
    return {
      command: program, cwd: dir,
      args: ['-p', 'greet somebody', '--mcp-config', config, '--strict-mcp-config', '--allowedTools', 'mcp__cella', '--output-format', 'stream-json', '--verbose'],
      env: { ...home(dir), ENABLE_TOOL_SEARCH: 'false', ANTHROPIC_BASE_URL: model, ANTHROPIC_API_KEY: 'dummy', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_AUTOUPDATER: '1' },
    };
  });
}

function codex(...flags) {
  const packages = installed('codex', 'node_modules', '@openai');
  const vendor = packages && readdirSync(packages).map((p) => installed('codex', 'node_modules', '@openai', p, 'vendor')).find(Boolean);
  const program = vendor && join(vendor, readdirSync(vendor)[0], 'bin', 'codex');
  return program && ((url, token, model) => {
    const dir = scratch('codex'), env = home(dir);
    writeFileSync(join(env.HOME, 'config.toml'), [
      'model = "scripted"', 'model_provider = "scripted"',
      '[model_providers.scripted]', 'name = "scripted"', `base_url = "${model}/v1"`, 'wire_api = "responses"', 'env_key = "DUMMY_KEY"', 'requires_openai_auth = false',
      '[mcp_servers.cella]', `url = "${url}"`, 'bearer_token_env_var = "CELLA_TOKEN"', 'default_tools_approval_mode = "approve"', 'required = true', '',
    ].join('\n'));
    return { command: program, cwd: dir, args: ['exec', '--skip-git-repo-check', '--json', ...flags, 'greet somebody'], env: { ...env, CODEX_HOME: env.HOME, DUMMY_KEY: 'dummy', CELLA_TOKEN: token } };
  });
}

/** name -> (url, token, url of the model) -> {command, args, env, cwd}, undefined where it is not installed. */
export const AGENTS = {
  'Claude Code 2.1.329': claudeCode(),
  'Codex CLI 0.169 (legacy)': codex(),
  'Codex CLI 0.169 (modern)': codex('--enable', 'mcp_2026_07_28'),
};
