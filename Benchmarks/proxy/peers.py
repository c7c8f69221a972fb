"""How nginx, HAProxy and others are configured for the jobs; what a job asks of them is said in proxies.py."""

import os
import shutil
import subprocess
import sys
import time

from proxies import BODIES, Cloudwright, Failure, Floor, Proxy, answers, free_port, wait_for


class Nginx(Proxy):
    name = "nginx"
    program = "nginx"
    remedy = "apt-get install nginx-light libnginx-mod-http-lua"
    # Of the log of the job `duties`: written at once, so that it outlives the process as cloudwright's records do.
    buffering = ""
    # nginx has counters for callers only where it can be programmed (Debian: libnginx-mod-http-lua).
    MODULES = [f"/usr/lib/nginx/modules/{name}.so" for name in ("ndk_http_module", "ngx_http_lua_module")]
    COUNTING = '''log_by_lua_block {
      local usage, consumer = ngx.shared.usage, ngx.var.consumer
      usage:incr(consumer .. " requests", 1, 0)
      usage:incr(consumer .. " octets", tonumber(ngx.var.bytes_sent), 0)
    }'''

    @classmethod
    def counts(cls):
        return all(map(os.path.exists, cls.MODULES))

    def begin(self, backends, keys):
        self.ports = {job: free_port() for job in Proxy.jobs}
        upstreams = "".join(
            f"  upstream {job} {{ {''.join(f'server 127.0.0.1:{port}; ' for port in ports)}keepalive 128; "
            f"keepalive_requests 1000000000; }}\n" for job, ports in backends.items())
        bodies = "".join(
            f"  server {{ listen 127.0.0.1:{self.ports[job]}; location / {{ proxy_pass http://{job}; }} }}\n"
            for job in BODIES if job in backends)
        configuration = self.write("nginx.conf", f"""
{''.join(f'load_module {module};{chr(10)}' for module in self.MODULES if self.counts())}worker_processes 1;
daemon off;
pid {self.path('pid')};
error_log {self.path('error.log')} warn;
events {{ worker_connections {self.connections}; }}
http {{
  client_body_temp_path {self.path('body')}; proxy_temp_path {self.path('proxy')};
  fastcgi_temp_path {self.path('fastcgi')}; uwsgi_temp_path {self.path('uwsgi')}; scgi_temp_path {self.path('scgi')};
  access_log off;
  keepalive_requests 1000000000;
  proxy_http_version 1.1;
  proxy_max_temp_file_size 0;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
{upstreams}{bodies}  server {{
    listen 127.0.0.1:{self.ports['plain']};
    location / {{ proxy_pass http://plain; }}
  }}
  server {{
    listen 127.0.0.1:{self.ports['http2']} http2;
    location / {{ proxy_pass http://plain; }}
  }}
  server {{
    listen 127.0.0.1:{self.ports['tls']} ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate {self.certificate};
    ssl_certificate_key {self.key};
    location / {{ proxy_pass http://plain; }}
  }}
{self.duties(backends['plain'], keys)}}}
""")
        self.launch([self.program, "-p", self.directory, "-c", configuration])
        wait_for(self.name, lambda: all(answers(self.ports[job]) for job in self.jobs), self.process)

    def duties(self, ports, keys):
        entries = "\n".join(f"    '{key}' 'consumer-{place}';" for place, key in enumerate(keys))
        return f"""  upstream duties {{
    zone duties 64k;
    {''.join(f'server 127.0.0.1:{port} max_conns=256; ' for port in ports)}
    keepalive 128; keepalive_requests 1000000000;
  }}
  map_hash_bucket_size 128;
  map $http_x_api_key $consumer {{
    default '';
{entries}
  }}
  map $uri $is_login {{ default 0; /duties/login 1; }}
  limit_conn_zone $consumer zone=in_flight:1m;
  limit_req_zone $consumer zone=rate:1m rate=1000000r/s;
  {'lua_shared_dict usage 1m;' if self.counts() else ''}
  log_format usage '$request_id $consumer $msec $request_method $uri $status $request_length $bytes_sent '
                   '$request_time $upstream_addr';
  server {{
    listen 127.0.0.1:{self.ports['duties']};
    access_log {self.path('usage.log')} usage{self.buffering};
    access_log {self.path('audit.log')} usage if=$is_login;
    limit_conn in_flight 64;
    limit_req zone=rate burst=1000000 nodelay;
    {self.COUNTING if self.counts() else ''}
    proxy_set_header X-API-Key "";
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    if ($consumer = '') {{ return 401; }}
    location / {{ proxy_pass http://duties; }}
  }}
"""

    def version(self):
        said = subprocess.run([self.program, "-v"], capture_output=True, text=True, check=False).stderr.strip()
        return said + ("" if self.counts() else ", without counters for callers (libnginx-mod-http-lua is not there)")


class BufferedNginx(Nginx):
    """With a log that is written by 64 KiB: cheaper, and what is not written yet is lost when it dies."""

    name = "nginx-buffered"
    jobs = ("duties",)
    buffering = " buffer=64k flush=1s"


class Caddy(Proxy):
    name = "caddy"
    program = "caddy"
    remedy = "apt-get install caddy"
    jobs = tuple(job for job in Proxy.jobs if job != "duties")

    def begin(self, backends, keys):
        self.ports = {job: free_port() for job in self.jobs}
        sites = "".join(f"""
{'https' if job == 'tls' else 'http'}://:{port} {{
  bind 127.0.0.1
  {f'tls {self.certificate} {self.key} {{{chr(10)}    protocols tls1.3{chr(10)}  }}' if job == 'tls' else ''}
  reverse_proxy {' '.join(f'127.0.0.1:{backend}' for backend in backends.get(job, backends['plain']))} {{
    lb_policy round_robin
    transport http {{
      keepalive_idle_conns_per_host 128
    }}
  }}
}}
""" for job, port in self.ports.items())
        configuration = self.write("Caddyfile", f"""
{{
  admin off
  auto_https off
  default_sni localhost
  grace_period 1s
  servers {{
    protocols h1 h2 h2c
  }}
}}
{sites}""")
        self.launch(["env", f"HOME={self.directory}", self.program, "run", "--adapter", "caddyfile", "--config",
                     configuration])
        wait_for(self.name, lambda: all(answers(port) for port in self.ports.values()), self.process)

    def version(self):
        return subprocess.run([self.program, "version"], capture_output=True, text=True, check=False).stdout.strip()


class HAProxy(Proxy):
    name = "haproxy"
    program = "haproxy"
    remedy = "apt-get install haproxy"

    def begin(self, backends, keys):
        self.ports = {job: free_port() for job in self.jobs}
        self.sink = LogSink(self.path("log.sock"), self.path("usage.log"))
        limited = "".join(
            f"  server duties{place} 127.0.0.1:{port} maxconn 256\n" for place, port in enumerate(backends["plain"]))
        groups = "".join(
            f"backend {job}\n  balance roundrobin\n"
            + "".join(f"  server {job}{place} 127.0.0.1:{port}\n" for place, port in enumerate(ports))
            for job, ports in backends.items())
        fronts = "".join(
            f"frontend front-{job}\n  bind 127.0.0.1:{self.ports[job]}\n  default_backend {job}\n"
            for job in BODIES if job in backends)
        entries = self.write("keys.map", "".join(f"{key} consumer-{place}\n" for place, key in enumerate(keys)))
        configuration = self.write("haproxy.cfg", f"""
global
  nbthread 1
  maxconn {self.connections}
  no strict-limits
  log {self.path('log.sock')} len 512 format raw local0
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
frontend front-plain
  bind 127.0.0.1:{self.ports['plain']}
  default_backend plain
frontend front-http2
  bind 127.0.0.1:{self.ports['http2']} proto h2
  default_backend plain
frontend front-tls
  bind 127.0.0.1:{self.ports['tls']} ssl crt {self.certificate_and_key} ssl-min-ver TLSv1.3
  default_backend plain
frontend front-duties
  bind 127.0.0.1:{self.ports['duties']}
  log global
  unique-id-format %{{+X}}o%ci%cp%ts%rt
  unique-id-header X-Request-ID
  option forwardfor
  http-request set-var(txn.consumer) req.hdr(x-api-key),map_str({entries})
  http-request deny deny_status 401 unless {{ var(txn.consumer) -m found }}
  http-request track-sc0 var(txn.consumer) table callers
  http-request deny deny_status 429 if {{ sc_conn_cur(0,callers) gt 64 }}
  http-request deny deny_status 429 if {{ sc_http_req_rate(0,callers) gt 1000000 }}
  http-request capture req.hdr(authorization) len 64 if {{ path /duties/login }}
  http-request del-header x-api-key
  log-format "%ID %[var(txn.consumer)] %Ts.%ms %HM %HP %ST %U %B %Ta %s"
  default_backend duties
backend callers
  stick-table type string len 32 size 1k store http_req_cnt,http_req_rate(1s),conn_cur,bytes_in_cnt,bytes_out_cnt
backend duties
  balance roundrobin
{limited}{fronts}{groups}""")
        self.launch([self.program, "-f", configuration])
        wait_for(self.name, lambda: all(answers(port) for port in self.ports.values()), self.process)

    def version(self):
        output = subprocess.run([self.program, "-v"], capture_output=True, text=True, check=False).stdout
        return output.splitlines()[0] if output else ""

    def stop(self):
        super().stop()
        time.sleep(0.5)
        if hasattr(self, "sink"):
            self.sink.stop()


class LogSink:
    """Receives HAProxy's log datagrams, as a log daemon would, on the load's processor; its time is not HAProxy's."""

    PROGRAM = """
import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
sink = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sink.bind(sys.argv[1])
print("bound", flush=True)
with open(sys.argv[2], "wb", buffering=65536) as file:
    while True:
        # A datagram may end with a line feed of its own: each is to be one line, since lines are counted.
        file.write(sink.recv(65536).rstrip(b"\\n") + b"\\n")
"""

    def __init__(self, address, file):
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM, address, file], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.process.stdout.readline()

    def stop(self):
        """Lets it write out what it has."""
        self.process.terminate()
        self.process.wait()


# By name, in the order in which they are shown; what is in OTHERS may be missing.
PROXIES = {made.name: made for made in (Cloudwright, Nginx, BufferedNginx, HAProxy, Caddy, Floor)}
OTHERS = ("caddy",)


def chosen(options, jobs):
    """The names of the proxies that have one of the jobs, but for those that are to be left out. Failure where one that
    has to be there is not."""
    names, missing = [], []
    for name, proxy_class in PROXIES.items():
        if name in options.without or not set(proxy_class.jobs) & set(jobs):
            continue
        program = options.cloudwright if name == "cloudwright" else proxy_class.program
        if not program or shutil.which(program):
            names.append(name)
        elif name in OTHERS:
            print(f"{name} is left out, since it is not there: {proxy_class.remedy}", file=sys.stderr)
        else:
            missing.append(f"{name} is not there: {proxy_class.remedy}; or leave it out with --without {name}")
    if missing:
        raise Failure("\n".join(missing))
    return names


def make(name, directory, options):
    if name == "cloudwright":
        return Cloudwright(directory, options.proxy_cpu, options.cloudwright)
    return PROXIES[name](directory, options.proxy_cpu)
