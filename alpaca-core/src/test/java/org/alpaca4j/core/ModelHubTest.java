package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelHubTest {
  private static final String TOKEN = "hf_TopSecretTopSecret";
  private static final String WEIGHTS = "model.safetensors";

  @TempDir Path home;
  private final List<Duration> pauses = new CopyOnWriteArrayList<>();
  private final Map<String, String> environment = new HashMap<>();
  private FakeHub hub;

  @BeforeEach
  void start() throws IOException {
    hub = new FakeHub().model();
    environment.put("HF_ENDPOINT", hub.endpoint() + "/");
    environment.put("HF_TOKEN", TOKEN);
  }

  @AfterEach
  void stop() {
    hub.close();
  }

  private ModelHub.Builder builder() {
    return ModelHub.builder(environment, home).pause(pauses::add);
  }

  private Path folder() {
    return builder().build().folder(FakeHub.ID);
  }

  private Path repository() {
    return home.resolve(".cache/huggingface/hub/models--org--tiny-model");
  }

  private Path blob(String file) {
    return repository().resolve("blobs").resolve(hub.etag(file));
  }

  private Path incomplete(String file) {
    return blob(file).resolveSibling(hub.etag(file) + ".incomplete");
  }

  private HubException failure() {
    HubException failure = catchThrowableOfType(HubException.class, this::folder);
    StringWriter trace = new StringWriter();
    failure.printStackTrace(new PrintWriter(trace));
    assertThat(trace.toString()).doesNotContain(TOKEN).doesNotContain("s3cr");
    return failure;
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void fetchesWhatAModelNeedsAndNothingElse() throws IOException {
    Path folder = folder();

    assertThat(folder).isEqualTo(repository().resolve("snapshots").resolve(FakeHub.COMMIT));
    assertThat(names(folder))
        .containsExactly(
            "config.json",
            "generation_config.json",
            WEIGHTS,
            "tokenizer.json",
            "tokenizer_config.json");
    assertThat(folder.resolve(WEIGHTS)).hasBinaryContent(hub.files.get(WEIGHTS));
    assertThat(repository().resolve("refs/main")).hasContent(FakeHub.COMMIT);
  }

  @Test
  void linksASnapshotToItsBlobsByRelativePaths() throws IOException {
    Path link = folder().resolve(WEIGHTS);

    assertThat(Files.readSymbolicLink(link)).hasToString("../../blobs/" + hub.etag(WEIGHTS));
    assertThat(names(repository().resolve("blobs"))).noneMatch(n -> n.endsWith(".incomplete"));
  }

  @Test
  void copiesWhereLinksCannotBeMade() throws IOException {
    environment.put("HF_HUB_DISABLE_SYMLINKS", "1");

    Path file = folder().resolve(WEIGHTS);

    assertThat(Files.isSymbolicLink(file)).isFalse();
    assertThat(file).hasBinaryContent(hub.files.get(WEIGHTS));
  }

  @Test
  void fetchesNoWeightsForATokenizer() throws IOException {
    Path folder = builder().build().tokenizerFolder(FakeHub.ID);

    assertThat(names(folder))
        .containsExactly("config.json", "tokenizer.json", "tokenizer_config.json");
  }

  @Test
  void fetchesTheShardsThatAnIndexNames() throws IOException {
    hub.files.remove(WEIGHTS);
    hub.file(
        "model.safetensors.index.json",
        "{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\"}}");
    hub.largeFile("model-1.safetensors", new byte[] {1})
        .largeFile("model-2.safetensors", new byte[2]);
    hub.file("model-3.safetensors", "an older upload");

    assertThat(names(folder()))
        .contains("model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json")
        .doesNotContain("model-3.safetensors", "pytorch_model.bin");
  }

  @Test
  void refusesShardsOutsideTheFolder() {
    hub.files.remove(WEIGHTS);
    hub.file("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"../../x.safetensors\"}}");

    assertThat(failure()).hasMessageContaining("../../x.safetensors");
  }

  @Test
  void neverWritesListedFilesThatLeadOutOfTheSnapshot() throws IOException {
    hub.file("../../config.json", "{}").file("additional_chat_templates/../../x.jinja", "evil");

    assertThat(names(folder())).contains("config.json").doesNotContain("additional_chat_templates");
    assertThat(names(repository())).containsExactly("blobs", "refs", "snapshots");
  }

  @Test
  void fetchesFormerWeightsWhereThereAreNoSafetensors() throws IOException {
    hub.files.remove(WEIGHTS);

    assertThat(names(folder())).contains("pytorch_model.bin");
  }

  @Test
  void saysWhatARepositoryWithoutWeightsHas() {
    hub.files.remove(WEIGHTS);
    hub.files.remove("pytorch_model.bin");

    assertThat(failure()).hasMessageContaining("no weights").hasMessageContaining("README.md");
  }

  @Test
  void takesAFetchedModelFromTheCacheAfterOneQuestion() {
    folder();
    hub.hubRequests.clear();

    folder();

    assertThat(hub.hubRequests).containsExactly("GET /api/models/org/tiny-model/revision/main");
  }

  @Test
  void asksNobodyForAPinnedCommitInTheCache() {
    folder();
    hub.hubRequests.clear();

    Path folder = builder().revision(FakeHub.COMMIT).build().folder(FakeHub.ID);

    assertThat(folder).isDirectory();
    assertThat(hub.hubRequests).isEmpty();
  }

  @Test
  void usesTheCacheWhileTheHubIsDown() {
    Path folder = folder();
    hub.close();

    assertThat(folder()).isEqualTo(folder);
    assertThat(pauses).isEmpty();
  }

  @Test
  void readsACacheThatPythonWroteWithoutConnecting() throws IOException {
    // As huggingface_hub 2.4.0 leaves it after config.json and the weights were fetched.
    Path cache = home.resolve("python");
    Path model = cache.resolve("models--org--tiny-model");
    Path snapshot = Files.createDirectories(model.resolve("snapshots/" + FakeHub.COMMIT));
    Files.createDirectories(model.resolve("blobs"));
    Files.createDirectories(model.resolve("refs"));
    Files.writeString(model.resolve("refs/main"), FakeHub.COMMIT);
    for (String file : List.of("config.json", WEIGHTS)) {
      Files.write(model.resolve("blobs").resolve(hub.etag(file)), hub.files.get(file));
      Files.createSymbolicLink(snapshot.resolve(file), Path.of("../../blobs", hub.etag(file)));
    }
    environment.put("HF_HUB_CACHE", cache.toString());
    environment.put("HF_HUB_OFFLINE", "1");

    assertThat(folder()).isEqualTo(snapshot);
    assertThat(hub.hubRequests).isEmpty();
  }

  @Test
  void saysWhenOfflineThatAModelIsNotCached() {
    environment.put("HF_HUB_OFFLINE", "yes");

    assertThat(failure()).hasMessageContaining("HF_HUB_OFFLINE").hasMessageContaining(FakeHub.ID);
    assertThat(hub.hubRequests).isEmpty();
  }

  @Test
  void goesOnWhereAConnectionWasCut() {
    hub.cut(WEIGHTS, 100_000);

    assertThat(folder().resolve(WEIGHTS)).hasBinaryContent(hub.files.get(WEIGHTS));
    assertThat(hub.storageRequests.get(0)).isEqualTo(WEIGHTS + " whole cut");
    assertThat(hub.storageRequests.get(1)).startsWith(WEIGHTS + " bytes=");
    assertThat(pauses).containsExactly(Duration.ofSeconds(1));
  }

  @Test
  void goesOnWhereAKilledProcessEnded() throws IOException {
    Files.createDirectories(blob(WEIGHTS).getParent());
    Files.write(incomplete(WEIGHTS), Arrays.copyOf(hub.files.get(WEIGHTS), 123_456));

    assertThat(folder().resolve(WEIGHTS)).hasBinaryContent(hub.files.get(WEIGHTS));
    assertThat(hub.storageRequests).containsExactly(WEIGHTS + " bytes=123456-");
  }

  @Test
  void beginsAnewWhereALeftoverIsDamaged() throws IOException {
    Files.createDirectories(blob(WEIGHTS).getParent());
    Files.write(incomplete(WEIGHTS), new byte[1000]);

    assertThat(folder().resolve(WEIGHTS)).hasBinaryContent(hub.files.get(WEIGHTS));
    assertThat(hub.storageRequests).containsExactly(WEIGHTS + " bytes=1000-", WEIGHTS + " whole");
  }

  @Test
  void keepsNothingOfAFileWithAWrongChecksum() {
    hub.faults.add(
        exchange -> {
          if (!exchange.getRequestURI().getPath().equals("/" + WEIGHTS)) {
            return false;
          }
          FakeHub.send(exchange, new byte[300_000]);
          return true;
        });

    assertThat(failure()).hasMessageContaining("damaged").hasMessageContaining(hub.etag(WEIGHTS));
    assertThat(blob(WEIGHTS)).doesNotExist();
    assertThat(incomplete(WEIGHTS)).doesNotExist();
    assertThat(repository().resolve("refs/main")).doesNotExist();
  }

  @Test
  void checksSmallFilesByTheirGitHash() {
    hub.faults.add(
        exchange -> {
          if (!FakeHub.isFor(exchange, "GET", "/resolve/" + FakeHub.COMMIT + "/config.json")) {
            return false;
          }
          FakeHub.send(exchange, new byte[hub.files.get("config.json").length]);
          return true;
        });

    assertThat(failure()).hasMessageContaining("config.json came damaged");
    assertThat(blob("config.json")).doesNotExist();
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"%s\"", "W/\"%s\"", "%s"})
  void understandsAllFormsOfETags(String form) {
    hub.etagForm = form;

    folder();

    assertThat(blob(WEIGHTS)).exists();
    assertThat(blob("config.json")).exists();
  }

  @Test
  void refusesAnETagThatLeadsOutOfTheCache() {
    hub.etagForm = "\"../../%s\"";

    assertThat(failure()).hasMessageContaining("no usable ETag");
  }

  @Test
  void sendsTheTokenToTheHubAndNeverToTheStorage() {
    folder();

    assertThat(hub.tokens).hasSameSizeAs(hub.hubRequests).containsOnly("Bearer " + TOKEN);
    assertThat(hub.storageHeaders).isNotEmpty();
    assertThat(hub.storageHeaders.toString())
        .doesNotContainIgnoringCase("authorization")
        .doesNotContain(TOKEN);
  }

  @Test
  void logsNeitherTheTokenNorSignedAddresses() {
    hub.cut(WEIGHTS, 1000).fail("GET", "/api/models/", 503).fail("GET", "/" + WEIGHTS, 500);
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    PrintStream before = System.err;
    System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
    try {
      folder();
    } finally {
      System.setErr(before);
    }

    assertThat(log.toString(StandardCharsets.UTF_8))
        .contains("trying again")
        .doesNotContain(TOKEN)
        .doesNotContain("s3cr");
  }

  @Test
  void readsTheTokenFromItsFile() throws IOException {
    environment.remove("HF_TOKEN");
    Files.createDirectories(home.resolve(".cache/huggingface"));
    Files.writeString(home.resolve(".cache/huggingface/token"), "hf_fromFile\n");

    folder();

    assertThat(hub.tokens).containsOnly("Bearer hf_fromFile");
  }

  @Test
  void doesNotQuoteATokenThatIsNone() {
    environment.put("HF_TOKEN", "hf_Secret\u0007x");

    assertThatThrownBy(this::builder)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageNotContaining("hf_Secret");
  }

  @ParameterizedTest
  @CsvSource({
    "401, '', private or does not exist",
    "401, GatedRepo, accept its conditions at",
    "403, GatedRepo, accept its conditions at",
    "403, '', access is refused",
    "404, RepoNotFound, check the name",
    "404, RevisionNotFound, no such revision"
  })
  void saysWhatARefusalMeans(int status, String code, String meaning) {
    hub.fail("GET", "/api/models/", status, "X-Error-Code", code);

    HubException failure = failure();

    assertThat(failure).hasMessageContaining(meaning).hasMessageContaining(FakeHub.ID);
    assertThat(failure.statusCode()).hasValue(status);
    assertThat(pauses).isEmpty();
  }

  @Test
  void waitsAsLongAsABusyHubAsks() {
    hub.fail("GET", "/api/models/", 429, "Retry-After", "7");
    hub.fail("GET", "/api/models/", 503);

    folder();

    assertThat(pauses).containsExactly(Duration.ofSeconds(7), Duration.ofSeconds(2));
  }

  @Test
  void givesUpWhereABusyHubAsksForHours() {
    hub.fail("GET", "/api/models/", 429, "Retry-After", "7200");

    assertThat(failure()).hasMessageContaining("429");
    assertThat(pauses).isEmpty();
  }

  @Test
  void givesUpAfterSeveralFailuresInARow() {
    for (int i = 0; i < 5; i++) {
      hub.fail("GET", "/" + WEIGHTS, 500);
    }

    assertThat(failure().statusCode()).hasValue(500);
    assertThat(pauses)
        .containsExactly(
            Duration.ofSeconds(1),
            Duration.ofSeconds(2),
            Duration.ofSeconds(4),
            Duration.ofSeconds(8));
  }

  @Test
  void doesNotWaitForeverForABodyThatStalls() {
    CountDownLatch end = new CountDownLatch(1);
    hub.faults.add(
        exchange -> {
          if (!exchange.getRequestURI().getPath().equals("/" + WEIGHTS)) {
            return false;
          }
          exchange.sendResponseHeaders(200, 300_000);
          exchange.getResponseBody().flush();
          try {
            end.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
          return true;
        });
    try {
      ModelHub impatient = builder().timeout(Duration.ofMillis(500)).attempts(1).build();

      assertThatThrownBy(() -> impatient.folder(FakeHub.ID))
          .isInstanceOf(HubException.class)
          .hasMessageContaining("nothing came for");
    } finally {
      end.countDown();
    }
  }

  @Test
  void namesAFullDisk() {
    ModelHub full = builder().usableSpace(file -> 1000).build();

    assertThatThrownBy(() -> full.folder(FakeHub.ID))
        .isInstanceOf(HubException.class)
        .hasMessageContaining("300000 bytes are to come, 1000 are free")
        .hasMessageContaining("HF_HUB_CACHE");
    assertThat(blob(WEIGHTS)).doesNotExist();
  }

  @Test
  void fetchesOnceForTwoAtOnce() {
    CompletableFuture<Path> other = CompletableFuture.supplyAsync(this::folder);
    Path folder = folder();

    assertThat(other.join()).isEqualTo(folder);
    assertThat(folder.resolve(WEIGHTS)).hasBinaryContent(hub.files.get(WEIGHTS));
    assertThat(hub.storageRequests).containsExactly(WEIGHTS + " whole");
  }

  @Test
  void aHostThatCannotBeReachedIsTriedTwice() {
    hub.close(); // nobody listens any more
    assertThatThrownBy(this::folder)
        .isInstanceOf(HubException.class)
        .hasMessageContaining("Check the network");
    assertThat(pauses).hasSize(1);
  }

  @Test
  void fetchesOnceForTwoProcessesAtOnce() throws Exception {
    List<Process> processes = List.of(inAnotherProcess(), inAnotherProcess());

    for (Process process : processes) {
      assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
      assertThat(process.exitValue()).isZero();
    }
    Path snapshot = repository().resolve("snapshots").resolve(FakeHub.COMMIT);
    assertThat(snapshot.resolve(WEIGHTS)).hasBinaryContent(hub.files.get(WEIGHTS));
    assertThat(hub.storageRequests).containsExactly(WEIGHTS + " whole");
    assertThat(names(blob(WEIGHTS).getParent())).noneMatch(name -> name.endsWith(".incomplete"));
  }

  private Process inAnotherProcess() throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            Download.class.getName(),
            hub.endpoint(),
            home.toString())
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .redirectError(ProcessBuilder.Redirect.DISCARD)
        .start();
  }

  /** Downloads the model from an endpoint to the cache of a home folder. */
  static final class Download {
    private Download() {}

    public static void main(String[] args) {
      ModelHub.builder(Map.of("HF_ENDPOINT", args[0]), Path.of(args[1])).build().folder(FakeHub.ID);
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void namesADiskThatFillsUpMeanwhile() throws IOException {
    Files.createDirectories(blob(WEIGHTS).getParent());
    Files.createSymbolicLink(incomplete(WEIGHTS), Path.of("/dev/full"));

    assertThat(failure())
        .hasMessageContainingAll(hub.etag(WEIGHTS) + ".incomplete", "is the disk full?");
    assertThat(blob(WEIGHTS)).doesNotExist();

    Files.delete(incomplete(WEIGHTS));
    assertThat(folder().resolve(WEIGHTS)).hasBinaryContent(hub.files.get(WEIGHTS));
  }

  @Test
  void tellsHowFarADownloadHasCome() {
    List<HubListener.Download> events = new ArrayList<>();

    builder().listener(events::add).build().folder(FakeHub.ID);

    assertThat(events)
        .contains(
            new HubListener.Download(FakeHub.ID, WEIGHTS, 0, 300_000),
            new HubListener.Download(FakeHub.ID, WEIGHTS, 300_000, 300_000));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"model", "../model", "org/..", "a/b/c", "org/na--me", "/etc", "org/x.git", "org/"})
  void refusesWhatIsNoName(String id) {
    assertThatThrownBy(() -> builder().build().folder(id))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'" + id + "'");
  }

  @ParameterizedTest
  @ValueSource(strings = {"../x", "a/../b", "", "/x", "a//b", "..", "a\\b"})
  void refusesARevisionThatLeadsOutOfTheCache(String revision) {
    assertThatThrownBy(() -> builder().revision(revision).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("revision");
  }

  @Test
  void opensWeightsThroughTheLinksOfASnapshot() {
    byte[] header =
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
            .getBytes(StandardCharsets.UTF_8);
    hub.largeFile(
        WEIGHTS,
        ByteBuffer.allocate(8 + header.length + 4)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(header.length)
            .put(header)
            .putFloat(1.5f)
            .array());

    try (Checkpoint checkpoint = Checkpoint.open(folder())) {
      assertThat(checkpoint.map("a").getFloat()).isEqualTo(1.5f);
    }
  }

  @Test
  void prefersAnExistingPathToAName() {
    assertThatThrownBy(() -> Checkpoint.open(home.toString()))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("no weights");
    assertThatThrownBy(() -> CausalLm.load("no such folder"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("neither a path");
  }
}
