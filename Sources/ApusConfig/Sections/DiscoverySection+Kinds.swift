import ApusBytes
import ApusModel

/// A service discovery by its name in `<name>_sd_configs`.
struct DiscoveryKind: Sendable {
    let name: String
    let schema: ObjectSchema

    typealias Check = @Sendable (inout ConfigObject) throws(ConfigProblem) -> Void

    /// `http`: the section holds the HTTP client options, too. `refreshSeconds`: how often it asks again by default, nil if it
    /// is told of changes. `required`: fields that must not be empty. `choices`:
    /// fields with a closed set of values. `check`: what is left.
    init(
        _ name: String, _ fields: [Field], http: Bool = false, refreshSeconds: Int64? = 60, required: [String] = [],
        choices: [String: [String]] = [:], check: Check? = nil
    ) {
        self.name = name
        let refresh = refreshSeconds.map { [Field("refresh_interval", .duration, .duration(ms: $0 * 1000))] } ?? []
        let all = fields + refresh + (http ? HTTPClientSection.fields : [])
        schema = ObjectSchema("\(name).plain", all) { (o: inout ConfigObject) throws(ConfigProblem) in
            if http { try HTTPClientSection.check(&o) }
            for field in required where o.value(field)?.isZero ?? true {
                throw o.problem("\(name) SD configuration requires \(article(field))", field: field)
            }
            for (field, allowed) in choices.sorted(by: { $0.key < $1.key }) where !allowed.contains(o.string(field)) {
                throw o.problem("unknown \(name) SD \(field) \(goQuoted(o.string(field)))", field: field)
            }
            if let check { try check(&o) }
        }
    }
}

private func article(_ field: String) -> String { ("aeiou".contains(field.prefix(1)) ? "an " : "a ") + field }

private func text(_ names: String..., value: ConfigValue? = nil) -> [Field] { names.map { Field($0, .string, value) } }
private func secret(_ names: String...) -> [Field] { names.map { Field($0, .secret) } }
private func texts(_ names: String...) -> [Field] { names.map { Field($0, .list(.string)) } }
private func port(_ value: Int64) -> [Field] { [Field("port", .int, .int(value))] }

private func requireURL(_ o: ConfigObject, _ field: String, _ what: String) throws(ConfigProblem) {
    let (scheme, host) = urlParts(o.string(field))
    if scheme != "http" && scheme != "https" { throw o.problem("\(what) scheme must be 'http' or 'https'", field: field) }
    if host.isEmpty { throw o.problem("host is missing in \(what)", field: field) }
}

private func requireAuthentication(_ o: ConfigObject, _ kind: String) throws(ConfigProblem) {
    if o.object("authorization") == nil && o.object("basic_auth") == nil && o.object("oauth2") == nil {
        throw o.problem("\(kind) SD configuration requires an authentication")
    }
}

extension DiscoverySection {
    private static let filter = ObjectSchema("ec2.Filter", text("name") + texts("values")) { (o: inout ConfigObject) throws(ConfigProblem) in
        if o.list("values").isEmpty { throw o.problem("EC2 SD configuration filter values cannot be empty") }
    }
    private static let anyFilter = ObjectSchema("Filter", text("name") + texts("values"))

    private static let awsFields =
        text("endpoint", "region", "access_key") + secret("secret_key") + text("profile", "role_arn", "external_id")

    /// What a kind discovers, and what its fields mean, is upstream's documentation.
    static let kinds: [DiscoveryKind] = [
        DiscoveryKind(
            "aws", text("role") + awsFields + texts("clusters") + port(80)
                + [Field("request_concurrency", .int), Field("filters", .entries(filter, nullError: "empty filter"))],
            http: true, choices: ["role": ["ec2", "ecs", "elasticache", "lightsail", "msk", "rds"]]),
        DiscoveryKind(
            "azure",
            text("environment", value: "AzurePublicCloud") + port(80) + text("subscription_id", "tenant_id", "client_id")
                + secret("client_secret") + text("resource_group") + text("authentication_method", value: "OAuth"),
            http: true, refreshSeconds: 300
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            let method = o.string("authentication_method")
            func require(_ field: String, _ label: String) throws(ConfigProblem) {
                if o.bytes(field).isEmpty { throw o.problem("Azure SD configuration requires a \(label)", field: field) }
            }
            try require("subscription_id", "subscription_id")
            if !["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"].contains(method) {
                throw o.problem(
                    "unknown authentication_type \(goQuoted(method)). Supported types are \"OAuth\", \"ManagedIdentity\", \"SDK\" or \"WorkloadIdentity\"",
                    field: "authentication_method")
            }
            if method == "OAuth" {
                try require("tenant_id", "tenant_id")
                try require("client_id", "client_id")
                try require("client_secret", "client_secret")
            }
        },
        DiscoveryKind(
            "consul",
            text("server", value: "localhost:8500") + text("path_prefix") + secret("token")
                + text("datacenter", "namespace", "partition") + text("tag_separator", value: ",")
                + [Field("scheme", .string), Field("username", .string), Field("password", .secret)]
                + [Field("allow_stale", .bool, .bool(true), shown: true)] + texts("services", "tags")
                + [Field("node_meta", .map(.string))] + text("filter", "health_filter"),
            http: true, refreshSeconds: 30, required: ["server"]
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            if !o.bytes("username").isEmpty || !o.bytes("password").isEmpty, o.object("basic_auth") != nil {
                throw o.problem("at most one of consul SD configuration username and password and basic auth can be configured")
            }
            if !o.bytes("token").isEmpty, o.object("authorization") != nil || o.object("oauth2") != nil {
                throw o.problem("at most one of consul SD token, authorization, or oauth2 can be configured")
            }
        },
        DiscoveryKind("digitalocean", port(80) + text("role"), http: true),
        DiscoveryKind(
            "dns", texts("names") + text("type", value: "SRV") + [Field("port", .int)], refreshSeconds: 30
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            if o.list("names").isEmpty { throw o.problem("DNS-SD config must contain at least one SRV record name") }
            switch o.string("type").uppercased() {
            case "SRV": break
            case "A", "AAAA", "MX", "NS":
                if o.int("port") == 0, o.string("type").uppercased() != "MX" || !o.isSet("port") {
                    throw o.problem("a port is required in DNS-SD configs for all record types except SRV")
                }
            default: throw o.problem("invalid DNS-SD records type \(o.string("type"))", field: "type")
            }
        },
        DiscoveryKind(
            "docker",
            text("host") + port(80) + [Field("filters", .entries(anyFilter, nullError: "empty filter"))]
                + text("host_networking_host", value: "localhost")
                + [Field("match_first_network", .bool, .bool(true), shown: true)],
            http: true, required: ["host"]
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            if let problem = urlProblem(o.string("host")) { throw o.problem(problem, field: "host") }
        },
        DiscoveryKind(
            "dockerswarm", text("host", "role") + port(80) + [Field("filters", .entries(anyFilter, nullError: "empty filter"))],
            http: true, required: ["host"], choices: ["role": ["services", "nodes", "tasks"]]),
        DiscoveryKind("ecs", awsFields + texts("clusters") + port(80) + [Field("request_concurrency", .int)], http: true),
        DiscoveryKind("elasticache", awsFields + texts("clusters") + port(80) + [Field("request_concurrency", .int)], http: true),
        DiscoveryKind("msk", awsFields + texts("clusters") + port(80) + [Field("request_concurrency", .int)], http: true),
        DiscoveryKind("rds", awsFields + texts("clusters") + port(80) + [Field("request_concurrency", .int)], http: true),
        DiscoveryKind("ec2", awsFields + port(80) + [Field("filters", .entries(filter, nullError: "empty filter"))], http: true),
        DiscoveryKind("eureka", text("server"), http: true, refreshSeconds: 30) { (o: inout ConfigObject) throws(ConfigProblem) in
            if o.bytes("server").isEmpty { throw o.problem("eureka_sd: empty or null eureka server", field: "server") }
            let (scheme, host) = urlParts(o.string("server"))
            if scheme.isEmpty || host.isEmpty { throw o.problem("eureka_sd: invalid eureka server URL", field: "server") }
        },
        DiscoveryKind(
            "gce", text("project", "zone", "filter") + port(80) + text("tag_separator", value: ","), required: ["project", "zone"]),
        DiscoveryKind(
            "hetzner", text("role") + port(80) + text("label_selector"), http: true
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            if o.bytes("role").isEmpty { throw o.problem("role missing (one of: robot, hcloud)") }
            if !["robot", "hcloud"].contains(o.string("role")) { throw o.problem("unknown role \(goQuoted(o.string("role")))", field: "role") }
        },
        DiscoveryKind("http", text("url"), http: true) { (o: inout ConfigObject) throws(ConfigProblem) in
            if o.bytes("url").isEmpty { throw o.problem("URL is missing", field: "url") }
            if let problem = urlProblem(o.string("url")) { throw o.problem(problem, field: "url") }
            let (scheme, host) = urlParts(o.string("url"))
            if scheme != "http" && scheme != "https" { throw o.problem("URL scheme must be 'http' or 'https'", field: "url") }
            if host.isEmpty { throw o.problem("host is missing in URL", field: "url") }
        },
        DiscoveryKind("ionos", text("datacenter_id") + port(80), http: true) { (o: inout ConfigObject) throws(ConfigProblem) in
            if o.bytes("datacenter_id").isEmpty { throw o.problem("datacenter id can't be empty", field: "datacenter_id") }
        },
        DiscoveryKind("kubernetes", kubernetesFields, http: true, refreshSeconds: nil, check: checkKubernetes),
        DiscoveryKind(
            "kuma", text("server", "client_id") + [Field("fetch_timeout", .duration, .duration(ms: 120_000))], http: true, refreshSeconds: 15
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            try requireURL(o, "server", "kuma SD server")
        },
        DiscoveryKind("lightsail", awsFields + port(80), http: true),
        DiscoveryKind("linode", text("region") + port(80) + text("tag_separator", value: ","), http: true),
        DiscoveryKind(
            "marathon", texts("servers") + secret("auth_token") + [Field("auth_token_file", .path)], http: true, refreshSeconds: 30
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            if o.list("servers").isEmpty { throw o.problem("marathon_sd: must contain at least one Marathon server") }
            try o.atMostOne(["auth_token", "auth_token_file"], "marathon_sd: at most one of auth_token & auth_token_file must be configured")
            let own = !o.bytes("auth_token").isEmpty || !o.bytes("auth_token_file").isEmpty
            if own && o.object("basic_auth") != nil {
                throw o.problem("marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured")
            }
            if own && o.object("authorization") != nil {
                throw o.problem("marathon_sd: at most one of auth_token, auth_token_file & authorization must be configured")
            }
        },
        DiscoveryKind(
            "nerve", texts("servers", "paths") + [Field("timeout", .duration, .duration(ms: 10_000))], refreshSeconds: nil,
            required: ["servers", "paths"]
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            for path in o.strings("paths") where !path.hasPrefix("/") {
                throw o.problem("nerve SD config paths must begin with '/': \(path)", field: "paths")
            }
        },
        DiscoveryKind(
            "nomad",
            [Field("allow_stale", .bool, .bool(true), shown: true)] + text("namespace", value: "default")
                + text("region", value: "global") + text("server") + text("tag_separator", value: ","),
            http: true, required: ["server"]),
        DiscoveryKind(
            "oci",
            text("auth", value: "api_key") + text("authentication_method") + text("region", "tenancy", "user", "fingerprint", "profile")
                + [Field("key_file", .path), Field("config_file", .path)] + secret("key_passphrase", "key") + texts("compartments") + port(80),
            http: true
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            if !["api_key", "instance_principal", "resource_principal", "workload_identity", "workload_principal"].contains(o.string("auth")) {
                throw o.problem("unknown OCI SD auth \(goQuoted(o.string("auth")))", field: "auth")
            }
        },
        DiscoveryKind(
            "openstack",
            text("identity_endpoint", "username", "userid") + secret("password") + text("project_name", "project_id", "domain_name", "domain_id")
                + text("application_credential_name", "application_credential_id") + secret("application_credential_secret")
                + text("role", "region") + port(80) + [Field("all_tenants", .bool), Field("tls_config", .object(HTTPClientSection.tls))]
                + text("availability", value: "public")
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            if !["public", "internal", "admin"].contains(o.string("availability")) {
                throw o.problem("unknown availability \(o.string("availability")), must be one of admin, internal or public", field: "availability")
            }
            if o.bytes("role").isEmpty { throw o.problem("role missing (one of: instance, hypervisor, loadbalancer)") }
            if !["instance", "hypervisor", "loadbalancer"].contains(o.string("role")) {
                throw o.problem("unknown OpenStack SD role \(goQuoted(o.string("role")))", field: "role")
            }
            if o.bytes("region").isEmpty { throw o.problem("openstack SD configuration requires a region") }
        },
        DiscoveryKind(
            "outscale", text("region", "access_key") + secret("secret_key") + [Field("secret_key_file", .path)] + text("endpoint") + port(80),
            http: true, required: ["region", "access_key"], check: checkSecretKey("outscale")),
        DiscoveryKind(
            "ovhcloud",
            text("endpoint", value: "ovh-eu") + text("application_key") + secret("application_secret", "consumer_key") + text("service")
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            for (field, label) in [
                ("endpoint", "endpoint"), ("application_key", "application key"), ("application_secret", "application secret"),
                ("consumer_key", "consumer key"),
            ] where o.bytes(field).isEmpty {
                throw o.problem("\(label) can not be empty", field: field)
            }
            if !["vps", "dedicated_server"].contains(o.string("service")) {
                throw o.problem("unknown service: \(o.string("service"))", field: "service")
            }
        },
        DiscoveryKind(
            "puppetdb", text("url", "query") + [Field("include_parameters", .bool, shown: true)] + port(80), http: true
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            if o.bytes("url").isEmpty { throw o.problem("URL is missing", field: "url") }
            try requireURL(o, "url", "URL")
            if o.bytes("query").isEmpty { throw o.problem("query missing", field: "query") }
        },
        DiscoveryKind(
            "scaleway",
            text("project_id", "name_filter", "zone", "access_key") + secret("secret_key") + [Field("secret_key_file", .path)]
                + text("role", "api_url") + texts("tags_filter") + port(80),
            http: true, required: ["project_id", "access_key"], choices: ["role": ["instance", "baremetal"]], check: checkSecretKey("scaleway")),
        DiscoveryKind(
            "serverset", texts("servers", "paths") + [Field("timeout", .duration, .duration(ms: 10_000))], refreshSeconds: nil,
            required: ["servers", "paths"]
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            for path in o.strings("paths") where !path.hasPrefix("/") {
                throw o.problem("serverset SD config paths must begin with '/': \(path)", field: "paths")
            }
        },
        DiscoveryKind(
            "stackit",
            text("project", "region", "endpoint") + [Field("service_account_key_path", .path), Field("private_key_path", .path)]
                + secret("service_account_key", "private_key") + [Field("credentials_file_path", .path)] + port(80),
            http: true
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            if let problem = urlProblem(o.string("endpoint")) { throw o.problem(problem, field: "endpoint") }
            if o.bytes("project").isEmpty { throw o.problem("stackit SD configuration requires a project") }
        },
        DiscoveryKind(
            "triton",
            text("account") + text("role", value: "container") + text("dns_suffix", "endpoint") + texts("groups") + port(9163)
                + [Field("tls_config", .object(HTTPClientSection.tls)), Field("version", .int, .int(1))],
            required: ["account", "dns_suffix", "endpoint"], choices: ["role": ["container", "cn"]]),
        DiscoveryKind(
            "uyuni",
            text("server", "username") + secret("password") + text("entitlement", value: "monitoring_entitled") + text("separator", value: ","),
            http: true, required: ["server", "username", "password"]
        ) { (o: inout ConfigObject) throws(ConfigProblem) in
            if let problem = urlProblem(o.string("server")) { throw o.problem(problem, field: "server") }
        },
        DiscoveryKind("vultr", port(80), http: true),
    ]

    private static func checkSecretKey(_ kind: String) -> DiscoveryKind.Check {
        { (o: inout ConfigObject) throws(ConfigProblem) in
            try o.atMostOne(["secret_key", "secret_key_file"], "at most one of secret_key & secret_key_file must be configured")
            if o.bytes("secret_key").isEmpty && o.bytes("secret_key_file").isEmpty {
                throw o.problem("\(kind) SD configuration requires secret_key or secret_key_file")
            }
        }
    }

    private static let kubernetesFields: [Field] =
        text("api_server", "role") + [Field("kubeconfig_file", .path)]
        + [
            Field("namespaces", .object(ObjectSchema("kubernetes.plain", [Field("own_namespace", .bool, shown: true)] + texts("names")))),
            Field(
                "selectors", .entries(ObjectSchema("kubernetes.SelectorConfig", text("role", "label", "field")), nullError: "empty selector")),
            Field(
                "attach_metadata", .object(ObjectSchema("kubernetes.AttachMetadataConfig", [Field("node", .bool, shown: true), Field("namespace", .bool)]))),
        ]

    /// Which roles a selector may name, for each role of discovery.
    private static let selectable: [String: [String]] = [
        "pod": ["pod", "node", "namespace"], "service": ["service"], "endpointslice": ["pod", "service", "endpointslice"],
        "endpoints": ["pod", "service", "endpoints"], "node": ["node"], "ingress": ["ingress"],
    ]

    private static let checkKubernetes: DiscoveryKind.Check = { (o: inout ConfigObject) throws(ConfigProblem) in
        let role = o.string("role")
        if role.isEmpty { throw o.problem("role missing (one of: pod, service, endpoints, endpointslice, node, ingress)") }
        guard let allowed = selectable[role] else { throw o.problem("unknown Kubernetes SD role \(goQuoted(role))", field: "role") }
        let hasServer = !o.bytes("api_server").isEmpty
        let hasKubeconfig = !o.bytes("kubeconfig_file").isEmpty
        let ownNamespace = o.object("namespaces")?.bool("own_namespace") ?? false
        let hasClientOptions = HTTPClientSection.fields.contains { o.isSet($0.name) && o.value($0.name) != $0.defaultValue }
        if hasKubeconfig && hasServer { throw o.problem("cannot use 'kubeconfig_file' and 'api_server' simultaneously") }
        if hasKubeconfig && hasClientOptions { throw o.problem("cannot use a custom HTTP client configuration together with 'kubeconfig_file'") }
        if !hasServer && hasClientOptions {
            throw o.problem("to use custom HTTP client configuration please provide the 'api_server' URL explicitly")
        }
        if hasServer && ownNamespace { throw o.problem("cannot use 'api_server' and 'namespaces.own_namespace' simultaneously") }
        if hasKubeconfig && ownNamespace { throw o.problem("cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously") }
        var seen: Set<String> = []
        for selector in o.objects("selectors") {
            let selected = selector.string("role")
            if !seen.insert(selected).inserted { throw o.problem("duplicated selector role: \(selected)") }
            if !allowed.contains(selected) {
                throw selector.problem("\(role) role supports only \(allowed.joined(separator: ", ")) selectors")
            }
            for field in ["label", "field"] where !isSelector(selector.string(field), labels: field == "label") {
                throw selector.problem("invalid selector: \(goQuoted(selector.string(field)))", field: field)
            }
        }
    }

    /// Whether Kubernetes would take the text for a selector: `a=b,c!=d`, and for labels `a`, `!a`, `a in (b, c)`, `a notin (b)`.
    private static func isSelector(_ text: String, labels: Bool) -> Bool {
        func isName(_ text: Substring) -> Bool {
            let text = trimmed(String(text))
            return !text.isEmpty && text.allSatisfy { $0.isLetter || $0.isNumber || "-_./".contains($0) }
        }
        func isValue(_ text: Substring) -> Bool { trimmed(String(text)).isEmpty || isName(text) || !labels }
        if trimmed(text).isEmpty { return true }
        var depth = 0
        let parts = text.split(omittingEmptySubsequences: false) {
            if $0 == "(" { depth += 1 }
            if $0 == ")" { depth -= 1 }
            return $0 == "," && depth == 0
        }
        return parts.allSatisfy { part in
            if let equals = part.firstIndex(of: "=") {
                var name = part[..<equals]
                if name.hasSuffix("!") { name = name.dropLast() }
                var value = part[part.index(after: equals)...]
                if value.hasPrefix("=") { value = value.dropFirst() }
                return isName(name) && isValue(value)
            }
            guard labels else { return false }
            let part = trimmed(String(part))
            for word in [" in ", " notin ", " in(", " notin("] {
                guard part.hasSuffix(")"), let open = part.firstIndex(of: "(") else { continue }
                let head = part[...open]
                guard head.dropLast().hasSuffix(String(word.dropLast())) || head.hasSuffix(word + "(") else { continue }
                return isName(head.dropLast().prefix { $0 != " " })
            }
            return isName(part.hasPrefix("!") ? part.dropFirst() : part[...])
        }
    }
}
