package org.alpaca4j.core;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;

/**
 * Two servers of this machine that behave as the Hugging Face hub (127.0.0.1) and its storage of
 * large files (localhost) do: listing, HEAD with ETags, redirects, ranges, and what can go wrong.
 */
final class FakeHub implements AutoCloseable {
  static final String ID = "org/tiny-model";
  static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

  /** Answers a request in place of the fake; returns false to let the fake answer. */
  @FunctionalInterface
  interface Fault {
    boolean handle(HttpExchange exchange) throws IOException;
  }

  final Map<String, byte[]> files = new TreeMap<>();
  final List<String> large = new ArrayList<>();
  final List<String> hubRequests = new CopyOnWriteArrayList<>();
  final List<String> storageRequests = new CopyOnWriteArrayList<>();
  final List<String> storageHeaders = new CopyOnWriteArrayList<>();
  final List<String> tokens = new CopyOnWriteArrayList<>();

  /** Each is asked about every request, in order. */
  final ConcurrentLinkedQueue<Fault> faults = new ConcurrentLinkedQueue<>();

  volatile String etagForm = "\"%s\"";

  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final HttpServer hub;
  private final HttpServer storage;

  FakeHub() throws IOException {
    hub = server(InetAddress.getByName("127.0.0.1"));
    storage = server(InetAddress.getByName("localhost"));
    hub.createContext("/", exchange -> handle(exchange, this::hub));
    storage.createContext("/", exchange -> handle(exchange, this::storage));
    hub.start();
    storage.start();
  }

  private HttpServer server(InetAddress address) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress(address, 0), 0);
    server.setExecutor(threads);
    return server;
  }

  private interface Handler {
    void handle(HttpExchange exchange) throws IOException;
  }

  private void handle(HttpExchange exchange, Handler handler) throws IOException {
    try (exchange) {
      for (Fault fault : faults) {
        if (fault.handle(exchange)) {
          return;
        }
      }
      handler.handle(exchange);
    }
  }

  String endpoint() {
    return "http://127.0.0.1:" + hub.getAddress().getPort();
  }

  FakeHub file(String name, String content) {
    files.put(name, content.getBytes(StandardCharsets.UTF_8));
    return this;
  }

  FakeHub largeFile(String name, byte[] content) {
    files.put(name, content);
    large.add(name);
    return this;
  }

  /** Puts what a small model has into the repository, and what is not to be fetched. */
  FakeHub model() {
    for (String name :
        List.of(
            "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")) {
      file(name, "{\"file\": \"" + name + "\"}");
    }
    for (String name : List.of("README.md", "pytorch_model.bin", "original/consolidated.00.pth")) {
      file(name, "not wanted");
    }
    byte[] weights = new byte[300_000];
    new Random(1).nextBytes(weights);
    return largeFile("model.safetensors", weights);
  }

  /** Makes the next answer to a request, of the hub or the storage, an error. */
  FakeHub fail(String method, String pathPart, int status, String... headers) {
    AtomicBoolean left = new AtomicBoolean(true);
    faults.add(
        exchange -> {
          if (!isFor(exchange, method, pathPart) || !left.compareAndSet(true, false)) {
            return false;
          }
          for (int i = 0; i < headers.length; i += 2) {
            exchange.getResponseHeaders().set(headers[i], headers[i + 1]);
          }
          exchange.sendResponseHeaders(status, -1);
          return true;
        });
    return this;
  }

  static boolean isFor(HttpExchange exchange, String method, String pathPart) {
    return exchange.getRequestMethod().equals(method)
        && exchange.getRequestURI().getPath().contains(pathPart);
  }

  private void hub(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath();
    hubRequests.add(exchange.getRequestMethod() + " " + path);
    String authorization = exchange.getRequestHeaders().getFirst("Authorization");
    if (authorization != null) {
      tokens.add(authorization);
    }
    exchange.getResponseHeaders().set("X-Repo-Commit", COMMIT);
    if (path.startsWith("/api/models/" + ID)) {
      String siblings =
          files.keySet().stream()
              .map(name -> "{\"rfilename\": \"" + name + "\"}")
              .collect(Collectors.joining(","));
      String json =
          "{\"id\": \"%s\", \"sha\": \"%s\", \"siblings\": [%s]}".formatted(ID, COMMIT, siblings);
      exchange.getResponseHeaders().set("Content-Type", "application/json");
      send(exchange, json.getBytes(StandardCharsets.UTF_8));
      return;
    }
    String prefix = "/" + ID + "/resolve/";
    String file =
        path.startsWith(prefix) ? path.substring(path.indexOf('/', prefix.length()) + 1) : "";
    byte[] content = files.get(file);
    if (content == null) {
      exchange.getResponseHeaders().set("X-Error-Code", "EntryNotFound");
      exchange.sendResponseHeaders(404, -1);
    } else if (large.contains(file)) {
      exchange.getResponseHeaders().set("X-Linked-Etag", etagForm.formatted(etag(file)));
      exchange.getResponseHeaders().set("X-Linked-Size", String.valueOf(content.length));
      exchange
          .getResponseHeaders()
          .set(
              "Location",
              "http://localhost:"
                  + storage.getAddress().getPort()
                  + "/"
                  + file
                  + "?signature=s3cr");
      exchange.sendResponseHeaders(302, -1);
    } else {
      exchange.getResponseHeaders().set("ETag", etagForm.formatted(etag(file)));
      send(exchange, content);
    }
  }

  private void storage(HttpExchange exchange) throws IOException {
    String file = exchange.getRequestURI().getPath().substring(1);
    String range = exchange.getRequestHeaders().getFirst("Range");
    storageRequests.add(file + " " + (range == null ? "whole" : range));
    storageHeaders.add(exchange.getRequestHeaders().entrySet().toString());
    send(exchange, files.get(file));
  }

  /** Sends a body, or the part of it that was asked for. */
  static void send(HttpExchange exchange, byte[] content) throws IOException {
    String range = exchange.getRequestHeaders().getFirst("Range");
    int begin = 0;
    int status = 200;
    if (range != null) {
      begin = Integer.parseInt(range.replaceAll("\\D", ""));
      status = 206;
      exchange
          .getResponseHeaders()
          .set(
              "Content-Range",
              "bytes " + begin + "-" + (content.length - 1) + "/" + content.length);
    }
    if (exchange.getRequestMethod().equals("HEAD")) {
      exchange.getResponseHeaders().set("Content-Length", String.valueOf(content.length));
      exchange.sendResponseHeaders(status, -1);
      return;
    }
    exchange.sendResponseHeaders(status, content.length - begin);
    exchange.getResponseBody().write(content, begin, content.length - begin);
  }

  /** Makes the storage send a part of a file and then cut the connection. */
  FakeHub cut(String file, int bytes) {
    AtomicBoolean left = new AtomicBoolean(true);
    faults.add(
        exchange -> {
          if (!exchange.getRequestURI().getPath().equals("/" + file)
              || !left.compareAndSet(true, false)) {
            return false;
          }
          byte[] content = files.get(file);
          String range = exchange.getRequestHeaders().getFirst("Range");
          storageRequests.add(file + " " + (range == null ? "whole" : range) + " cut");
          exchange.sendResponseHeaders(200, content.length);
          exchange.getResponseBody().write(content, 0, bytes);
          exchange.getResponseBody().flush();
          throw new IOException("cut");
        });
    return this;
  }

  String etag(String file) {
    byte[] content = files.get(file);
    try {
      if (large.contains(file)) {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
      }
      MessageDigest git = MessageDigest.getInstance("SHA-1");
      git.update(("blob " + content.length + "\0").getBytes(StandardCharsets.US_ASCII));
      return HexFormat.of().formatHex(git.digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    hub.stop(0);
    storage.stop(0);
    threads.shutdownNow();
  }
}
