using System.Text.Json;

public enum Delivery : byte { Post = 0, Pickup = 1 }

public record OrderLine(string Article, uint Quantity, long Cents);

public record Payment(int Index, JsonElement Value);

public record OrderPlaced(
    Guid Order,
    string Customer,
    Delivery Delivery,
    IReadOnlyList<OrderLine> Lines,
    string? Note,
    Payment Payment,
    long OpenFor,
    DateTimeOffset PlacedAt)
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    public static OrderPlaced Read(ReadOnlySpan<byte> body) =>
        JsonSerializer.Deserialize<OrderPlaced>(body, Options) ?? throw new JsonException("expected an object, found null");

    public TimeSpan Open => TimeSpan.FromMinutes(OpenFor);

    public string? CardDigits => Payment.Index == 1 ? Payment.Value.GetProperty("lastDigits").GetString() : null;
}
