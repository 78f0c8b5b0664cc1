package org.alpaca4j.examples;

import ai.djl.Device;
import java.io.IOException;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.Generator;
import org.alpaca4j.core.LoraConfig;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.AdgenPreprocessor;
import org.alpaca4j.data.Conversation;
import org.alpaca4j.data.DataFile;
import org.alpaca4j.data.DataRecord;
import org.alpaca4j.data.Mixture;
import org.alpaca4j.data.PaddingCollator;
import org.alpaca4j.data.RecordSource;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;
import org.alpaca4j.data.gorilla.ApiCallEvaluator;
import org.alpaca4j.data.gorilla.ApiHub;
import org.alpaca4j.data.selfinstruct.OpenAiModel;
import org.alpaca4j.data.selfinstruct.SeedTask;
import org.alpaca4j.data.similarity.Deduplicator;
import org.alpaca4j.weights.WeightDiff;
import org.alpaca4j.weights.gguf.GgufExport;
import org.alpaca4j.weights.gguf.GgufImport;

/**
 * A value of each type that public methods take or are called on: given here, or made by a public
 * static method or constructor of that type.
 */
final class SampleValues implements AutoCloseable {
  private final Map<Class<?>, Supplier<Object>> byType = new HashMap<>();
  private final CausalLm model;
  private final Checkpoint checkpoint;

  SampleValues(Path folder) throws IOException {
    Path base = TinyCheckpoint.write(folder.resolve("model"));
    model = CausalLm.load(base);
    checkpoint = Checkpoint.open(base);
    Path data = Files.writeString(folder.resolve("data.jsonl"), "{\"a\": 1}\n");
    SupervisedExample example = new SupervisedExample(new int[] {1, 2}, new int[] {1, 2});
    byType.put(Path.class, () -> folder.resolve("none"));
    byType.put(String.class, () -> "x");
    byType.put(int.class, () -> 1);
    byType.put(long.class, () -> 1L);
    byType.put(double.class, () -> 0.5);
    byType.put(Double.class, () -> 0.5);
    byType.put(boolean.class, () -> true);
    byType.put(char.class, () -> 'x');
    byType.put(List.class, List::of);
    byType.put(Map.class, Map::of);
    byType.put(Object.class, Object::new);
    byType.put(Optional.class, Optional::empty);
    byType.put(OptionalDouble.class, OptionalDouble::empty);
    byType.put(Duration.class, () -> Duration.ofSeconds(1));
    byType.put(Clock.class, Clock::systemUTC);
    byType.put(ByteBuffer.class, () -> ByteBuffer.allocate(1));
    byType.put(Device.class, Device::cpu);
    byType.put(DType.class, () -> DType.F32);
    byType.put(CausalLm.class, () -> model);
    byType.put(LoraConfig.class, () -> LoraConfig.builder().build());
    byType.put(Tokenizer.class, model::tokenizer);
    byType.put(Generator.class, model::generator);
    byType.put(Checkpoint.class, () -> checkpoint);
    byType.put(ModelConfig.class, model::config);
    byType.put(ModelConfig.Builder.class, () -> model.config().toBuilder());
    byType.put(ChatTemplate.class, () -> ChatTemplate.of("x"));
    byType.put(PromptTemplate.class, () -> PromptTemplate.ALPACA);
    byType.put(ChatMessage.class, () -> ChatMessage.user("x"));
    byType.put(Conversation.class, () -> Conversation.of(ChatMessage.user("x")));
    byType.put(CheckpointWriter.class, () -> CheckpointWriter.builder(folder.resolve("n")).build());
    byType.put(SupervisedExample.class, () -> example);
    byType.put(SupervisedDataset.class, () -> SupervisedDataset.of(List.of(example)));
    byType.put(RecordSource.class, () -> RecordSource.of(List.of("x")));
    byType.put(
        Mixture.class, () -> Mixture.builder().add(RecordSource.of(List.of("x")), 1).build());
    byType.put(SeedTask.class, () -> new SeedTask("x", "", "x"));
    byType.put(WeightDiff.class, () -> WeightDiff.builder().build());
    byType.put(Deduplicator.class, () -> Deduplicator.builder().build());
    byType.put(GgufExport.class, () -> GgufExport.builder(base).build());
    byType.put(GgufImport.class, () -> GgufImport.builder(base).build());
    byType.put(
        OpenAiModel.class,
        () -> OpenAiModel.builder().model("x").baseUrl(URI.create("http://localhost")).build());
    byType.put(
        ApiCallEvaluator.class, () -> ApiCallEvaluator.of(ApiHub.TORCH_HUB, List.of("f(a=1)")));
    byType.put(
        AdgenPreprocessor.class,
        () -> AdgenPreprocessor.of(model.tokenizer(), AdgenPreprocessor.Prompt.WRAPPED, 8, 8));
    byType.put(PaddingCollator.class, () -> PaddingCollator.builder().padId(1).build());
    byType.put(
        DataRecord.class,
        () -> {
          try (Stream<DataRecord> records = DataFile.jsonl(data).stream()) {
            return records.findFirst().orElseThrow();
          }
        });
  }

  Object of(Class<?> type) {
    Supplier<Object> known = byType.get(type);
    if (known != null) {
      return known.get();
    } else if (type.isEnum()) {
      return type.getEnumConstants()[0];
    } else if (type.isArray()) {
      return Array.newInstance(type.getComponentType(), 1);
    } else if (type.isInterface() && !type.isSealed()) {
      return Proxy.newProxyInstance(
          type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> null);
    }
    return Stream.of(type, type.isMemberClass() ? type.getDeclaringClass() : type)
        .flatMap(owner -> makers(owner, type))
        .flatMap(maker -> made(maker).stream())
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no sample of " + type.getName()));
  }

  private static Stream<Executable> makers(Class<?> owner, Class<?> type) {
    Stream<Method> methods =
        Arrays.stream(owner.getMethods())
            .filter(method -> Modifier.isStatic(method.getModifiers()))
            .filter(method -> method.getReturnType() == type);
    return Stream.concat(Arrays.stream(type.getConstructors()), methods);
  }

  private Optional<Object> made(Executable maker) {
    try {
      Object[] arguments = Arrays.stream(maker.getParameterTypes()).map(this::of).toArray();
      return Optional.of(
          maker instanceof Method method
              ? method.invoke(null, arguments)
              : ((Constructor<?>) maker).newInstance(arguments));
    } catch (InvocationTargetException | IllegalArgumentException e) {
      return Optional.empty(); // another one may
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    checkpoint.close();
    model.close();
  }
}
