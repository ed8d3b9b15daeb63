import ApusBytes
import ApusModel

/// `remote_write` and `remote_read`.
enum RemoteSection {
    static let sigv4 = ObjectSchema(
        "sigv4.plain",
        [
            Field("region", .string), Field("access_key", .string), Field("secret_key", .secret), Field("profile", .string),
            Field("role_arn", .string), Field("external_id", .string), Field("use_fips_sts_endpoint", .bool),
            Field("service_name", .string),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        if o.bytes("access_key").isEmpty != o.bytes("secret_key").isEmpty {
            throw o.problem("must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config")
        }
    }

    private static let azureAD = ObjectSchema(
        "azuread.plain",
        [
            Field("cloud", .string, "AzurePublic"),
            Field("managed_identity", .object(ObjectSchema("azuread.ManagedIdentityConfig", [Field("client_id", .string)]))),
            Field(
                "workload_identity",
                .object(
                    ObjectSchema(
                        "azuread.WorkloadIdentityConfig",
                        [Field("client_id", .string), Field("tenant_id", .string), Field("token_file_path", .string)]))),
            Field(
                "oauth",
                .object(
                    ObjectSchema(
                        "azuread.OAuthConfig",
                        [Field("client_id", .string), Field("client_secret", .secret), Field("tenant_id", .string)]))),
            Field(
                "certificate",
                .object(
                    ObjectSchema(
                        "azuread.CertificateConfig",
                        [
                            Field("client_id", .string), Field("tenant_id", .string), Field("certificate_path", .path),
                            Field("certificate_password", .secret), Field("send_certificate_chain", .bool),
                        ]))),
            Field("sdk", .object(ObjectSchema("azuread.SDKConfig", [Field("tenant_id", .string)]))),
            Field("scope", .string),
        ])

    private static let queue = ObjectSchema(
        "config.QueueConfig",
        [
            Field("capacity", .int, .int(10_000)), Field("max_shards", .int, .int(50)), Field("min_shards", .int, .int(1)),
            Field("max_samples_per_send", .int, .int(2_000)), Field("batch_send_deadline", .duration, .duration(ms: 5_000)),
            Field("min_backoff", .duration, .duration(ms: 30)), Field("max_backoff", .duration, .duration(ms: 5_000)),
            Field("retry_on_http_429", .bool), Field("sample_age_limit", .duration),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        for name in ["capacity", "max_shards", "min_shards", "max_samples_per_send"] where o.int(name) <= 0 {
            throw o.problem("remote write queue_config \(name) must be greater than 0", field: name)
        }
        if o.int("min_shards") > o.int("max_shards") {
            throw o.problem("remote write queue_config min_shards must not be greater than max_shards", field: "min_shards")
        }
        if o.int("min_backoff") > o.int("max_backoff") {
            throw o.problem("remote write queue_config min_backoff must not be greater than max_backoff", field: "min_backoff")
        }
    }

    private static let metadata = ObjectSchema(
        "config.MetadataConfig",
        [
            Field("send", .bool, .bool(true), shown: true), Field("send_interval", .duration, .duration(ms: 60_000), shown: true),
            Field("max_samples_per_send", .int, .int(2_000)),
        ])

    static let write = ObjectSchema(
        "config.plain",
        [
            Field("url", .url), Field("remote_timeout", .duration, .duration(ms: 30_000)), Field("headers", .map(.string)),
            RelabelSection.list("write_relabel_configs", "empty or null relabeling rule in remote write config"), Field("name", .string),
            Field("send_exemplars", .bool), Field("send_native_histograms", .bool), Field("round_robin_dns", .bool),
            Field("protobuf_message", .string, "prometheus.WriteRequest"),
            Field("failed_request_logging", .object(ObjectSchema("config.FailedRequestLogging", [Field("enabled", .bool)]))),
        ] + HTTPClientSection.fields(http2: false) + [
            Field("queue_config", .object(queue), .object(ConfigObject(queue))),
            Field("metadata_config", .object(metadata), .object(ConfigObject(metadata))), Field("sigv4", .object(sigv4)),
            Field("azuread", .object(azureAD)),
            Field("google_iam", .object(ObjectSchema("googleiam.Config", [Field("credentials_file", .path)]))),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        if o.bytes("url").isEmpty { throw o.problem("url for remote_write is empty", field: "url") }
        try checkHeaders(o, "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter")
        if !["prometheus.WriteRequest", "io.prometheus.write.v2.Request"].contains(o.string("protobuf_message")) {
            throw o.problem(
                "unknown remote write protobuf message \(o.string("protobuf_message")), supported: prometheus.WriteRequest, io.prometheus.write.v2.Request",
                field: "protobuf_message")
        }
        try HTTPClientSection.check(&o)
        let authentications = ["basic_auth", "authorization", "oauth2", "sigv4", "azuread", "google_iam"].filter { o.object($0) != nil }
        if authentications.count > 1 {
            throw o.problem("at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured")
        }
    }

    static let read = ObjectSchema(
        "config.plain",
        [
            Field("url", .url), Field("remote_timeout", .duration, .duration(ms: 60_000)),
            Field("chunked_read_limit", .uint, .int(50_000_000)), Field("headers", .map(.string)), Field("read_recent", .bool),
            Field("name", .string),
        ] + HTTPClientSection.fields + [
            Field("required_matchers", .map(.string)), Field("filter_external_labels", .bool, .bool(true), shown: true),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        if o.bytes("url").isEmpty { throw o.problem("url for remote_read is empty", field: "url") }
        try checkHeaders(o, "authorization header must be changed via the basic_auth, authorization, or oauth2 parameter")
        try HTTPClientSection.check(&o)
    }

    /// Headers that the protocols set.
    static func checkHeaders(_ o: ConfigObject, _ authorizationMessage: String) throws(ConfigProblem) {
        for header in o.map("headers") {
            let name = header.key.description.lowercased()
            if name == "authorization" { throw o.problem(authorizationMessage, field: "headers") }
            if HTTPClientSection.reservedHeaders.contains(name) {
                throw o.problem("\(header.key) is a reserved header. It must not be changed", field: "headers")
            }
        }
    }
}
