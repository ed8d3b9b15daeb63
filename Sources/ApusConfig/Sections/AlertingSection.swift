import ApusModel

/// The `alerting` section.
enum AlertingSection {
    private static let alertmanager = ObjectSchema(
        "config.plain",
        HTTPClientSection.fields + [
            Field("sigv4", .object(RemoteSection.sigv4)), Field("scheme", .string, "http"), Field("path_prefix", .string),
            Field("timeout", .duration, .duration(ms: 10_000)), Field("api_version", .string, "v2", shown: true),
            RelabelSection.list("relabel_configs", "empty or null Alertmanager target relabeling rule"),
            RelabelSection.list("alert_relabel_configs", "empty or null Alertmanager alert relabeling rule"),
        ] + DiscoverySection.fields
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        if o.string("api_version") != "v2" {
            throw o.problem("expected Alertmanager api version to be one of [v2] but got \(o.string("api_version"))", field: "api_version")
        }
        try HTTPClientSection.check(&o)
        if o.object("sigv4") != nil, ["basic_auth", "authorization", "oauth2"].contains(where: { o.object($0) != nil }) {
            throw o.problem("at most one of basic_auth, authorization, oauth2, & sigv4 must be configured")
        }
        if o.objects("relabel_configs").isEmpty { try DiscoverySection.checkStaticTargets(o) }
    }

    static let schema = ObjectSchema(
        "config.plain",
        [
            RelabelSection.list("alert_relabel_configs", "empty or null alert relabeling rule"),
            Field("alertmanagers", .entries(alertmanager, nullError: "empty or null Alertmanager config section")),
        ])

    /// Checks the relabel rules, which depend on the names that are valid.
    static func check(_ o: ConfigObject, _ validation: NameValidation) throws(ConfigProblem) {
        _ = try RelabelSection.rules(o, "alert_relabel_configs", validation)
        for manager in o.objects("alertmanagers") {
            _ = try RelabelSection.rules(manager, "relabel_configs", validation)
            _ = try RelabelSection.rules(manager, "alert_relabel_configs", validation)
        }
    }
}
