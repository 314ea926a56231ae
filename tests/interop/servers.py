"""Homeservers as child processes on loopback: conduit, and Synapse on SQLite. Both serve TLS to other servers at the
port in their name (`localhost:PORT`) and plain HTTP to clients at another; names and ports stay the same when a server
is stopped and started again."""

import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from processes import LIMIT_SECONDS, Process, free_port, wait_for

SHARED_SECRET = "shared-secret"


class Homeserver:
    """What both have in common. `host` is where it listens, for servers and clients."""

    def __init__(self, kind, folder, host="127.0.0.1", name=None, prefix=()):
        self.kind, self.folder, self.host, self.prefix = kind, Path(folder), host, prefix
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tls_port, self.client_port = free_port(), free_port()
        self.name = name or f"localhost:{self.tls_port}"
        self.url = f"http://{host}:{self.client_port}"
        self.process = None

    def start(self):
        assert self.process is None, f"{self.kind} runs already"
        self.process = Process(self.kind, self.command(), self.folder, prefix=self.prefix)
        wait_for(f"{self.kind} answers", self.answers)

    def answers(self):
        assert self.process.alive(), f"{self.kind} ended: {self.process.log_file.read_text(errors='replace')[-3000:]}"
        try:
            with urllib.request.urlopen(f"{self.url}/_matrix/client/versions", timeout=LIMIT_SECONDS) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def stop(self):
        process, self.process = self.process, None
        return process.stop() if process else None

    def kill(self):
        process, self.process = self.process, None
        if process:
            process.kill()


class Conduit(Homeserver):
    """conduit. `lines` are top-level options, `tables` what comes behind them."""

    def __init__(self, program, folder, authority, *, lines="", tables="", kind="conduit", **more):
        super().__init__(kind, folder, **more)
        self.program = program
        certificate, key = authority.certificate(f"{kind}-{self.tls_port}", addresses=sorted({"127.0.0.1", self.host}))
        self.config = self.folder / "conduit.toml"
        self.config.write_text(
            f'server_name = "{self.name}"\ndata_dir = "{self.folder}/data"\n'
            f'listen = ["{self.host}:{self.client_port}"]\n'
            "allow_registration = true\nallow_open_registration = true\n"
            f'registration_shared_secret = "{SHARED_SECRET}"\n{lines}\n'
            "[rate_limits]\nenabled = false\n"
            f'[tls]\nlisten = ["{self.host}:{self.tls_port}"]\n'
            f'certificate_file = "{certificate}"\nkey_file = "{key}"\n'
            f'[outbound]\nca_file = "{authority.file}"\nallowed_ranges = ["127.0.0.0/8", "::1"]\n'
            f"[federation]\ntrusted_key_servers = []\n{tables}"
        )

    def command(self):
        return [self.program, "--config", self.config]

    def check(self):
        """Runs `conduit check` over the stopped server's data: its problems, if any."""
        assert self.process is None, "`check` wants the server stopped"
        done = subprocess.run([self.program, "--config", self.config, "check"], capture_output=True, text=True)
        return None if done.returncode == 0 else f"{done.stdout}{done.stderr}"[-3000:]


# How often somebody may do anything: practically always.
UNLIMITED = "{per_second: 100000, burst_count: 100000}"

SYNAPSE = """\
server_name: "{name}"
pid_file: {folder}/synapse.pid
signing_key_path: {folder}/signing.key
media_store_path: {folder}/media
database: {{name: sqlite3, args: {{database: {folder}/synapse.db}}}}
listeners:
  - {{port: {tls_port}, bind_addresses: ["{host}"], type: http, tls: true, resources: [{{names: [federation, keys, media]}}]}}
  - {{port: {client_port}, bind_addresses: ["{host}"], type: http, tls: false, resources: [{{names: [client, federation, media]}}]}}
tls_certificate_path: {certificate}
tls_private_key_path: {key}
federation_custom_ca_list: ["{authority}"]
federation_metrics_domains: []
ip_range_blacklist: []
federation_ip_range_blacklist: []
trusted_key_servers: []
suppress_key_server_warning: true
report_stats: false
macaroon_secret_key: macaroon
form_secret: form
registration_shared_secret: {secret}
enable_registration: true
enable_registration_without_verification: true
bcrypt_rounds: 4
password_config: {{policy: {{enabled: false}}}}
allow_public_rooms_over_federation: true
allow_public_rooms_without_auth: true
room_list_publication_rules: [{{action: allow}}]
presence: {{enabled: true}}
dynamic_thumbnails: true
url_preview_enabled: false
federation: {{client_timeout: 60s, max_short_retry_delay: 1s, max_short_retries: 1, max_long_retry_delay: 1s, max_long_retries: 1, destination_min_retry_interval: 1s, destination_retry_multiplier: 1, destination_max_retry_interval: 1s}}
rc_message: {u}
rc_registration: {u}
rc_login: {{address: {u}, account: {u}, failed_attempts: {u}}}
rc_joins: {{local: {u}, remote: {u}}}
rc_joins_per_room: {u}
rc_invites: {{per_room: {u}, per_user: {u}, per_issuer: {u}}}
rc_room_creation: {u}
rc_admin_redaction: {u}
rc_3pid_validation: {u}
rc_presence: {{per_user: {u}}}
rc_media_create: {u}
rc_key_requests: {u}
rc_federation: {{window_size: 1000, sleep_limit: 100000, sleep_delay: 1, reject_limit: 100000, concurrent: 100}}
log_config: {folder}/log.yaml
{more}
"""

SYNAPSE_LOG = """\
version: 1
formatters: {plain: {format: "%(asctime)s %(levelname)s %(name)s %(request)s %(message)s"}}
filters: {context: {(): synapse.logging.context.LoggingContextFilter, request: ""}}
handlers: {out: {class: logging.StreamHandler, formatter: plain, filters: [context], stream: ext://sys.stdout}}
root: {level: LEVEL, handlers: [out]}
"""


class Synapse(Homeserver):
    """Synapse, of the virtual environment that `python` belongs to."""

    def __init__(self, python, folder, authority, *, level="WARNING", more="", kind="synapse", **rest):
        super().__init__(kind, folder, **rest)
        self.python = python
        certificate, key = authority.certificate(f"{kind}-{self.tls_port}")
        self.config = self.folder / "homeserver.yaml"
        fields = {"certificate": certificate, "key": key, "authority": authority.file, "secret": SHARED_SECRET}
        fields |= {name: getattr(self, name) for name in ("name", "folder", "host", "tls_port", "client_port")}
        self.config.write_text(SYNAPSE.format(u=UNLIMITED, more=more, **fields))
        (self.folder / "log.yaml").write_text(SYNAPSE_LOG.replace("LEVEL", level))
        generate = [*self.command(), "--generate-keys"]
        subprocess.run(generate, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def command(self):
        return [self.python, "-m", "synapse.app.homeserver", "-c", self.config]
