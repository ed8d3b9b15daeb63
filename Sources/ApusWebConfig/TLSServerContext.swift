import ApusBytes
public import NIOCore
import NIOSSL

/// What a server needs to speak TLS as a web configuration says: certificates read and checked, policies set.
public struct TLSServerContext: Sendable {
    private let context: NIOSSLContext
    /// Certificates of clients are asked for and taken as they are.
    private let takesAnyClient: Bool
    private let allowedNames: [String]?

    /// Reads certificates and keys. Blocks.
    /// - Throws: what is missing or cannot be read, in the words of Prometheus's.
    public init(_ config: WebConfig.TLSServer, fileSystem: any FileSystem = PosixFileSystem()) throws {
        if config.certificate.isEmpty && config.certificateFile.isEmpty {
            throw WebConfigError("missing one of cert or cert_file")
        }
        if config.key.isEmpty && config.keyFile.isEmpty { throw WebConfigError("missing one of key or key_file") }
        let certificate = try Self.read("cert_file", config.certificateFile, or: config.certificate, fileSystem)
        let key = try Self.read("key_file", config.keyFile, or: config.key, fileSystem)
        var tls = try Self.configuration(certificate, key)
        tls.minimumTLSVersion = config.minVersion.nio
        tls.maximumTLSVersion = config.maxVersion.nio
        if !config.cipherSuites.isEmpty {
            // TLS 1.3's suites are always offered; the list is about those before it.
            tls.cipherSuiteValues = config.cipherSuites.filter { $0 >> 8 != 0x13 }.map { NIOTLSCipher(rawValue: $0) }
        }
        if !config.curves.isEmpty { tls.curves = config.curves.map { NIOTLSCurve(rawValue: $0) } }
        tls.applicationProtocols = ["http/1.1"]

        guard let auth = config.clientAuth.isEmpty ? .noClientCert : WebConfig.TLSServer.ClientAuth(rawValue: config.clientAuth)
        else { throw WebConfigError("invalid ClientAuth: " + config.clientAuth) }
        let hasCA = !config.clientCA.isEmpty || !config.clientCAFile.isEmpty
        if hasCA {
            let authorities = try Self.read("client_ca_file", config.clientCAFile, or: config.clientCA, fileSystem)
            do { tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authorities)) } catch {
                throw WebConfigError("failed to load client CAs: \(error)")
            }
        }
        if hasCA && auth == .noClientCert {
            throw WebConfigError("client CA's have been configured without a Client Auth Policy")
        }
        let requires = [.requireAnyClientCert, .requireClientCert, .requireAndVerifyClientCert].contains(auth)
        if config.clientAllowedNames != nil && !requires {
            throw WebConfigError(
                "client_allowed_sans requires client_auth_type to be one of RequireAnyClientCert or RequireAndVerifyClientCert")
        }
        switch auth {
        case .noClientCert: tls.certificateVerification = .none
        case .requestClientCert, .verifyClientCertIfGiven: tls.certificateVerification = .optionalVerification
        case .requireAnyClientCert, .requireClientCert, .requireAndVerifyClientCert:
            tls.certificateVerification = .noHostnameVerification
        }
        takesAnyClient = [.requestClientCert, .requireAnyClientCert, .requireClientCert].contains(auth)
        allowedNames = config.clientAllowedNames
        do { context = try NIOSSLContext(configuration: tls) } catch { throw WebConfigError("TLS can't be configured: \(error)") }
    }

    /// A certificate and the key that belongs to it.
    private static func configuration(_ certificate: [UInt8], _ key: [UInt8]) throws(WebConfigError) -> TLSConfiguration {
        try checkPEM(certificate, "CERTIFICATE", in: "certificate")
        try checkPEM(key, "PRIVATE KEY", in: "key")
        let tls: TLSConfiguration
        do {
            let chain = try NIOSSLCertificate.fromPEMBytes(certificate)
            let privateKey = try NIOSSLPrivateKey(bytes: key, format: .pem)
            tls = .makeServerConfiguration(certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        } catch { throw WebConfigError("failed to load X509KeyPair: \(error)") }
        // With nothing else set, all that can be wrong with a context is that the two do not belong together.
        do { _ = try NIOSSLContext(configuration: tls) } catch {
            throw WebConfigError("failed to load X509KeyPair: tls: private key does not match public key")
        }
        return tls
    }

    /// Whether there is a block of a kind, or what there is in its place.
    private static func checkPEM(_ bytes: [UInt8], _ kind: String, in name: String) throws(WebConfigError) {
        var others: [String] = []
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) where line.hasPrefix("-----BEGIN ")
        {
            let found = line.dropFirst(11).prefix { $0 != "-" }
            // A key may be of one kind or another: EC PRIVATE KEY, RSA PRIVATE KEY.
            if found == kind || name == "key" && found.hasSuffix(kind) { return }
            if others.count < 16 { others.append(String(found)) }
        }
        let skipped = "after skipping PEM blocks of the following types: [\(others.joined(separator: " "))]"
        let problem =
            switch (others.count, name) {
            case (0, _): "failed to find any PEM data in \(name) input"
            case (1, "certificate") where others[0].hasSuffix("PRIVATE KEY"):
                "failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched"
            case (1, "key") where others[0] == "CERTIFICATE":
                "found a certificate rather than a key in the PEM for the private key"
            case (_, "key"): "failed to find PEM block with type ending in \"\(kind)\" in key input \(skipped)"
            default: "failed to find \"\(kind)\" PEM block in \(name) input \(skipped)"
            }
        throw WebConfigError("failed to load X509KeyPair: tls: \(problem)")
    }

    private static func read(
        _ name: String, _ path: String, or text: String, _ fileSystem: any FileSystem
    ) throws(WebConfigError) -> [UInt8] {
        if path.isEmpty { return Array(text.utf8) }
        do { return try fileSystem.read(path, limit: WebConfig.maximumFileBytes) } catch {
            throw WebConfigError("failed to read \(name) (\(path)): open \(path): \(errorText(error.code))")
        }
    }

    /// Adds the handlers that come first in a connection's pipeline. On the channel's event loop.
    public func addHandlers(to channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        if takesAnyClient {
            try pipeline.addHandler(
                NIOSSLServerHandler(
                    context: context, customVerificationCallback: { _, promise in promise.succeed(.certificateVerified) }))
        } else {
            try pipeline.addHandler(NIOSSLServerHandler(context: context))
        }
        if let allowedNames { try pipeline.addHandler(ClientNameCheck(allowed: allowedNames)) }
    }
}

extension WebConfig.TLSServer.Version {
    fileprivate var nio: TLSVersion {
        switch self {
        case .tls10: .tlsv1
        case .tls11: .tlsv11
        case .tls12: .tlsv12
        case .tls13: .tlsv13
        }
    }
}
