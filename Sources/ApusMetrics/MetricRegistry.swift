import ApusBytes
public import ApusExposition
public import ApusModel

/// The metrics of a program, declared once and shown as a page at every scrape.
///
///     let registry = MetricRegistry()
///     let jobs = try registry.counter("jobs_total", help: "Jobs done.")
///     jobs.increment()
///     let page = registry.renderText()
///
/// Declaring throws when a name or a combination can't be; after that nothing fails: updates that make no sense are
/// dropped and counted in `faults`. Declaring the same again returns the same series. Families come out sorted by name,
/// series sorted by label values, so two pages differ only where values do.
///
/// Next: `MetricFamily` for labels, `MetricSink` for values that exist elsewhere, `scoped` for parts of a program,
/// `render(into:as:)` for other formats, `lint` for names, `registerProcessMetrics()`.
public final class MetricRegistry: Sendable {
    /// Which names may be declared.
    public enum NameScheme: Sendable {
        /// `[a-zA-Z_:][a-zA-Z0-9_:]*`: every Prometheus reads them.
        case classic
        /// Any UTF-8; what is not classic is written in quotes or escaped, as the reader asks.
        case utf8
    }

    /// What is declared, shared by all scopes.
    let core: RegistryCore
    /// Before the names that are declared here.
    let prefix: String
    /// Of every series that is declared here.
    let constantLabels: [Label]
    let names: NameScheme
    let seriesLimit: Int
    let context: RegistryContext
    /// What was dropped because it made no sense.
    public var faults: UpdateFaults { context.faults }
    var time: any TimeSource { context.time }

    /// - Parameters:
    ///   - constantLabels: labels of every series; prefer the labels that the server gives a target.
    ///   - seriesLimit: how many series a family may have beside its overflow series, unless declared otherwise.
    ///   - exemplarProvider: asked at updates of counters and histograms what leads elsewhere from them, such as to the trace
    ///     that is current. It runs where the update does and should take nanoseconds.
    ///   - exemplarIntervalMs: how old an exemplar must be before the provider is asked for the next one.
    public init(
        constantLabels: KeyValuePairs<String, String> = [:], names: NameScheme = .classic, seriesLimit: Int = 10_000,
        time: any TimeSource = SystemTime(), exemplarProvider: ExemplarProvider? = nil, exemplarIntervalMs: Int64 = 1000
    ) {
        core = RegistryCore()
        prefix = ""
        self.constantLabels = constantLabels.map { Label(ByteString($0.key), ByteString($0.value)) }
        self.names = names
        self.seriesLimit = max(1, seriesLimit)
        context = RegistryContext(time: time, exemplarProvider: exemplarProvider, exemplarIntervalMs: exemplarIntervalMs)
    }

    private init(scopeOf parent: MetricRegistry, prefix: String, constantLabels: [Label]) {
        core = parent.core
        self.prefix = parent.prefix + prefix
        self.constantLabels = parent.constantLabels + constantLabels
        names = parent.names
        seriesLimit = parent.seriesLimit
        context = parent.context
    }

    // MARK: Scopes and merging

    /// The same registry for a part of the program: what is declared through it has `prefix` before its name and these
    /// labels beside its own. It shows the page of the whole registry.
    ///
    ///     let http = registry.scoped(prefix: "http_", constantLabels: ["listener": "public"])
    ///     let requests = try http.counter("requests_total", help: "…")      // http_requests_total{listener="public"}
    ///
    /// One name may be declared in several scopes if type, help, unit and label names agree and the labels' values differ.
    public func scoped(prefix: String = "", constantLabels: KeyValuePairs<String, String> = [:]) -> MetricRegistry {
        MetricRegistry(
            scopeOf: self, prefix: prefix, constantLabels: constantLabels.map { Label(ByteString($0.key), ByteString($0.value)) })
    }

    /// Shows what `other` has on this registry's pages too. Where both have a family, their series are put together if its
    /// type and help agree; else those of `other` are left out and counted in `faults`, as are series that both have.
    public func include(_ other: MetricRegistry) {
        if other.core !== core { core.include(other) }
    }

    /// A registry that shows what all of these have.
    public static func merged(_ registries: [MetricRegistry]) -> MetricRegistry {
        let all = MetricRegistry()
        for registry in registries { all.include(registry) }
        return all
    }

    // MARK: Removing

    /// Shows the families of this name no more; false if there was none. Handles that somebody kept stay usable. The name can
    /// be declared anew.
    @discardableResult
    public func unregister(_ name: String) -> Bool { core.unregister(ByteString(prefix + name)) }

    // MARK: Collectors

    /// Calls `collect` at every scrape, for values that live elsewhere: see `MetricSink`. Such collectors run one after
    /// the other on the thread that renders, and should take milliseconds; use the asynchronous form for what may take
    /// longer. One that throws is left out of the page and counted in `faults`.
    @discardableResult
    public func collect(_ collect: @escaping @Sendable (inout MetricSink) throws -> Void) -> CollectorToken {
        core.add(.now(self, collect))
    }

    /// Calls `collect` at every scrape that can wait for it: those of `page(as:)`. All such collectors run at once. One that
    /// throws, or has not ended after `timeoutMs`, is left out of the page and counted in `faults`; while it still runs, it is
    /// not called again.
    @discardableResult
    public func collectAsync(
        timeoutMs: Int64 = 5000, _ collect: @escaping @Sendable (inout MetricSink) async throws -> Void
    ) -> CollectorToken {
        core.add(.later(AsyncCollector(self, timeoutMs: timeoutMs, collect)))
    }

    /// Calls a collector no more; false if it was removed before.
    @discardableResult
    public func remove(_ token: CollectorToken) -> Bool { core.remove(token) }

    // MARK: Pages

    /// The page, in the text format 0.0.4, whose content type is `contentType`.
    public func renderText() -> [UInt8] {
        var page: [UInt8] = []
        render(into: &page)
        return page
    }

    /// Appends the page to `page`, in the text format.
    public func render(into page: inout [UInt8]) { render(into: &page, as: defaultEncoding) }

    /// Appends the page to `page`. Asynchronous collectors are left out: see `page(as:)`.
    public func render(into page: inout [UInt8], as encoding: PageEncoding) {
        PageBuilder(self).write(encoding, collected: [], into: &page)
    }

    /// The page, with what asynchronous collectors give.
    public func page(as encoding: PageEncoding? = nil) async -> [UInt8] {
        let collected = await core.collectLater()
        var page: [UInt8] = []
        PageBuilder(self).write(encoding ?? defaultEncoding, collected: collected, into: &page)
        return page
    }

    /// All families as they are now, sorted by name: for tests, for stores, for pages of another kind. Asynchronous
    /// collectors are left out.
    public func gather() -> [FamilySnapshot] { PageBuilder(self).gather(collected: []) }

    /// All families as they are now, with what asynchronous collectors give.
    public func gatherAll() async -> [FamilySnapshot] {
        let collected = await core.collectLater()
        return PageBuilder(self).gather(collected: collected)
    }

    /// What is wrong with names, units and help, by the rules of `promtool check metrics`: assert in a test that it is empty.
    ///
    ///     #expect(registry.lint() == [])
    public func lint() -> [MetricLint.Finding] { MetricLint.findings(in: gather()) }

    /// The content type to send a page of `render(into:)` with.
    public var contentType: String { names == .classic ? TextFormat.contentType : TextFormat.utf8ContentType }

    private var defaultEncoding: PageEncoding {
        names == .classic ? PageEncoding(.text, escaping: .underscores) : PageEncoding(.textUTF8, escaping: .allowUTF8)
    }
}

/// Stands for a collector, to remove it by.
public struct CollectorToken: Hashable, Sendable {
    let number: UInt64
}
